//! Where lines go: files that are moved away, a syslog of this machine, one elsewhere, and targets that are away.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use super::*;

const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

fn created(name: &str) -> Event<'_> {
    Event::new(EventKind::AccountCreated, EntryPoint::UserApi, None).with_subject(name)
}

/// Tells of it and waits until it is written.
fn tell(log: &SecurityLog, event: &Event<'_>) {
    log.emit(event);
    assert!(log.flush(FLUSH_TIMEOUT));
}

/// Tells of it while the target is away, and hears that it was not written.
fn tell_in_vain(log: &SecurityLog, event: &Event<'_>) {
    log.emit(event);
    assert!(!log.flush(FLUSH_TIMEOUT));
}

#[test]
fn a_log_file_is_private_and_recreated_after_rotation() {
    let context = TestContext::new();
    tell(&context.log, &created("ann"));
    let mode = fs::metadata(context.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let moved = context.folder.join("log.1");
    fs::rename(context.file(), &moved).unwrap();
    tell(&context.log, &created("bea"));
    assert!(fs::read_to_string(&moved).unwrap().contains("suser=ann"));
    let text = fs::read_to_string(context.file()).unwrap();
    assert!(text.contains("suser=bea") && !text.contains("suser=ann"));
    // Lines of other programs stay.
    fs::write(context.file(), "before\n").unwrap();
    tell(&context.log, &created("cid"));
    assert!(
        fs::read_to_string(context.file())
            .unwrap()
            .starts_with("before\nCEF:0|")
    );
}

/// A full disk or a crash leaves half a line, which takes no other with it.
#[test]
fn half_a_line_ends_before_the_next() {
    let context = TestContext::new();
    fs::write(context.file(), "CEF:0|half a li").unwrap();
    tell(&context.log, &created("ann"));
    tell(&context.log, &created("bea"));
    let text = fs::read_to_string(context.file()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("CEF:0|half a li", 3));
    assert!(lines[1].ends_with("suser=ann") && lines[2].ends_with("suser=bea"));
}

#[test]
fn a_file_that_cannot_be_written_is_told_at_once() {
    let context = TestContext::new();
    let sink = Sink::File(context.folder.join("no/folder/log"));
    let clock = Arc::new(ManualClock::at_millis(NOW));
    let opened = SecurityLog::open(&sink, "", clock);
    assert!(opened.is_err_and(|error| error.to_string().contains("no/folder/log")));
}

#[test]
fn a_folder_that_goes_away_costs_lines_and_they_are_counted() {
    let context = TestContext::new();
    tell(&context.log, &created("ann"));
    fs::remove_dir_all(&context.folder).unwrap();
    for name in ["bea", "cid", "dan"] {
        tell_in_vain(&context.log, &created(name));
    }
    fs::create_dir_all(&context.folder).unwrap();
    tell(&context.log, &created("eve"));
    let lines = context.lines();
    assert!(lines.iter().any(|line| line.id == "901"));
    let missing = lines.iter().filter(|line| line.id == "901");
    let missing: usize = missing
        .map(|line| line.get("cnt").unwrap().parse::<usize>().unwrap())
        .sum();
    let told = lines.iter().filter(|line| line.id == "201").count();
    assert_eq!(missing + told, 4);
}

#[test]
fn the_syslog_of_this_machine_hears_and_may_be_started_anew() {
    let context = TestContext::new();
    let path = context.folder.join("syslog");
    let clock = Arc::new(ManualClock::at_millis(NOW));
    // It need not be there when the server starts.
    let log = SecurityLog::open(&Sink::Local(path.clone()), "sync.example.org", clock).unwrap();
    tell_in_vain(&log, &created("ann"));
    for name in ["bea", "cid"] {
        let _ = fs::remove_file(&path);
        let syslog = UnixDatagram::bind(&path).unwrap();
        syslog.set_read_timeout(Some(FLUSH_TIMEOUT)).unwrap();
        tell(&log, &created(name));
        let text = heard(|buffer| syslog.recv(buffer).unwrap());
        if name == "bea" {
            // The first line counts the lines that were lost before.
            assert_eq!(parse(after_header(&text)).unwrap().id, "901");
            tell(&log, &created(name));
        }
        let text = if name == "bea" {
            heard(|buffer| syslog.recv(buffer).unwrap())
        } else {
            text
        };
        let header = format!("<86>Nov 21 01:53:20 foxden[{}]: ", std::process::id());
        let line = text.strip_prefix(&header).unwrap();
        assert_eq!(parse(line).unwrap().get("suser"), Some(name));
    }
}

/// A slow target delays no request; a line counts the lost events.
#[test]
fn lost_lines_are_counted() {
    const TOLD: u64 = 20_000;
    let context = TestContext::new();
    let path = context.folder.join("syslog");
    let syslog = UnixDatagram::bind(&path).unwrap();
    syslog.set_read_timeout(Some(FLUSH_TIMEOUT)).unwrap();
    let clock = Arc::clone(&context.clock) as _;
    let log = SecurityLog::open(&Sink::Local(path), "sync.example.org", clock).unwrap();
    // The socket is not read meanwhile, so it is full after a few.
    for number in 0..TOLD {
        log.emit(&created(&number.to_string()));
    }
    let (mut written, mut missing) = (0, 0);
    while written + missing < TOLD {
        let text = heard(|buffer| syslog.recv(buffer).unwrap());
        let line = parse(after_header(&text)).unwrap();
        match line.id.as_str() {
            "901" => missing += line.get("cnt").unwrap().parse::<u64>().unwrap(),
            _ => written += 1,
        }
    }
    assert_eq!(written + missing, TOLD);
    assert!(missing > 0, "the queue is shorter than that");
}

#[test]
fn a_syslog_elsewhere_hears() {
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog.set_read_timeout(Some(FLUSH_TIMEOUT)).unwrap();
    let sink = Sink::Udp(syslog.local_addr().unwrap().to_string());
    let clock = Arc::new(ManualClock::at_millis(NOW));
    let log = SecurityLog::open(&sink, "sync.example.org", clock).unwrap();
    tell(
        &log,
        &Event::by_operator(OperatorAction::AccountRemoved).with_subject("a\nb"),
    );
    let text = heard(|buffer| syslog.recv(buffer).unwrap());
    let header = format!(
        "<84>1 2025-11-21T01:53:20.000Z sync.example.org foxden {} - - ",
        std::process::id()
    );
    let line = text.strip_prefix(&header).unwrap();
    assert_eq!(parse(line).unwrap().get("duser"), Some("a\nb"));
    assert!(!text.contains('\n'));
}

#[test]
fn no_target_is_silent() {
    let clock = Arc::new(ManualClock::at_millis(NOW));
    let log = SecurityLog::open(&Sink::Nowhere, "", clock).unwrap();
    log.security_events().emit(&created("ann"));
    assert!(log.flush(Duration::ZERO));
}

fn heard(receive: impl FnOnce(&mut [u8]) -> usize) -> String {
    let mut buffer = [0; 9000];
    let length = receive(&mut buffer);
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn after_header(text: &str) -> &str {
    &text[text.find("CEF:0").unwrap()..]
}
