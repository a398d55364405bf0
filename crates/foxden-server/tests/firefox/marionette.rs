//! Marionette, Firefox's own remote control: length-prefixed JSON over one TCP connection.
//!
//! Only what the scenarios need is here. A *handle* names a tab, an *element* something on its page.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

/// The member under which an element's reference travels.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Longer than any script or page load may take, so that a lost browser ends a test instead of hanging it.
const TIMEOUT: Duration = Duration::from_secs(150);
const LONGEST_SCRIPT_MS: u64 = 120_000;

/// One session with one browser.
pub(crate) struct Marionette {
    stream: TcpStream,
    last_id: u64,
    in_chrome: bool,
}

/// An element of the current page.
#[derive(Clone)]
pub(crate) struct Element(String);

impl Marionette {
    /// Connects and begins a session in which modal dialogs stay until a test answers them.
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        let mut session = Self {
            stream,
            last_id: 0,
            in_chrome: false,
        };
        let greeting = session.receive()?;
        ensure!(
            greeting["marionetteProtocol"] == 3,
            "unknown Marionette: {greeting}"
        );
        session.command(
            "WebDriver:NewSession",
            json!({"unhandledPromptBehavior": "ignore"}),
        )?;
        session.command(
            "WebDriver:SetTimeouts",
            json!({"script": LONGEST_SCRIPT_MS, "pageLoad": 30_000, "implicit": 0}),
        )?;
        Ok(session)
    }

    /// Asks the browser to quit. It writes its profile to the disk first.
    pub(crate) fn quit(&mut self) -> Result<()> {
        self.command("Marionette:Quit", json!({"flags": ["eAttemptQuit"]}))?;
        Ok(())
    }

    /// Runs the body of an async function inside the browser itself, its arguments named `args`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write the arguments on the spot"
    )]
    pub(crate) fn chrome(&mut self, body: &str, args: Value) -> Result<Value> {
        self.enter(true)?;
        self.execute(body, &args)
    }

    /// Runs the body of an async function in the context of the current page.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write the arguments on the spot"
    )]
    pub(crate) fn content(&mut self, body: &str, args: Value) -> Result<Value> {
        self.enter(false)?;
        self.execute(body, &args)
    }

    fn execute(&mut self, body: &str, args: &Value) -> Result<Value> {
        let script = format!("return (async (args) => {{ {body} }})(arguments[0]);");
        let params = json!({"script": script, "args": [args], "newSandbox": true});
        self.value("WebDriver:ExecuteScript", params)
            .with_context(|| format!("in the script: {}", body.trim()))
    }

    pub(crate) fn navigate(&mut self, url: &str) -> Result<()> {
        self.enter(false)?;
        self.command("WebDriver:Navigate", json!({"url": url}))?;
        Ok(())
    }

    pub(crate) fn url(&mut self) -> Result<String> {
        self.enter(false)?;
        text(&self.value("WebDriver:GetCurrentURL", json!({}))?)
    }

    pub(crate) fn handles(&mut self) -> Result<Vec<String>> {
        self.enter(false)?;
        let handles = self.command("WebDriver:GetWindowHandles", json!({}))?;
        handles
            .as_array()
            .context("window handles are a list")?
            .iter()
            .map(text)
            .collect()
    }

    pub(crate) fn switch_to(&mut self, handle: &str) -> Result<()> {
        self.enter(false)?;
        let params = json!({"handle": handle, "focus": true});
        self.command("WebDriver:SwitchToWindow", params)?;
        Ok(())
    }

    /// Opens an empty tab and goes there.
    pub(crate) fn open_tab(&mut self) -> Result<String> {
        self.enter(false)?;
        let tab = self.command("WebDriver:NewWindow", json!({"type": "tab"}))?;
        let handle = text(&tab["handle"])?;
        self.switch_to(&handle)?;
        Ok(handle)
    }

    pub(crate) fn close_tab(&mut self) -> Result<()> {
        self.enter(false)?;
        self.command("WebDriver:CloseWindow", json!({}))?;
        Ok(())
    }

    /// The first element that fits, or none.
    pub(crate) fn find(&mut self, css: &str) -> Result<Option<Element>> {
        Ok(self.find_all(css)?.into_iter().next())
    }

    pub(crate) fn find_all(&mut self, css: &str) -> Result<Vec<Element>> {
        self.enter(false)?;
        let params = json!({"using": "css selector", "value": css});
        let found = self.command("WebDriver:FindElements", params)?;
        found
            .as_array()
            .context("elements are a list")?
            .iter()
            .map(|element| Ok(Element(text(&element[ELEMENT])?)))
            .collect()
    }

    pub(crate) fn click(&mut self, element: &Element) -> Result<()> {
        self.command("WebDriver:ElementClick", json!({"id": element.0}))?;
        Ok(())
    }

    pub(crate) fn clear(&mut self, element: &Element) -> Result<()> {
        self.command("WebDriver:ElementClear", json!({"id": element.0}))?;
        Ok(())
    }

    pub(crate) fn type_into(&mut self, element: &Element, words: &str) -> Result<()> {
        let params = json!({"id": element.0, "text": words});
        self.command("WebDriver:ElementSendKeys", params)?;
        Ok(())
    }

    pub(crate) fn attribute(&mut self, element: &Element, name: &str) -> Result<Option<String>> {
        let params = json!({"id": element.0, "name": name});
        let value = self.value("WebDriver:GetElementAttribute", params)?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// The visible text.
    pub(crate) fn text(&mut self, element: &Element) -> Result<String> {
        text(&self.value("WebDriver:GetElementText", json!({"id": element.0}))?)
    }

    pub(crate) fn is_shown(&mut self, element: &Element) -> Result<bool> {
        let params = json!({"id": element.0});
        let value = self.value("WebDriver:IsElementDisplayed", params)?;
        Ok(value.as_bool() == Some(true))
    }

    /// The text of the modal dialog in front, or none when there is no dialog.
    pub(crate) fn dialog(&mut self) -> Result<Option<String>> {
        self.enter(false)?;
        match self.value("WebDriver:GetAlertText", json!({})) {
            Ok(words) => Ok(Some(text(&words)?)),
            Err(error) if error.to_string().starts_with("no such alert") => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn accept_dialog(&mut self) -> Result<()> {
        self.command("WebDriver:AcceptAlert", json!({}))?;
        Ok(())
    }

    /// The whole page as a PNG in base64.
    pub(crate) fn screenshot(&mut self) -> Result<String> {
        self.enter(false)?;
        text(&self.value("WebDriver:TakeScreenshot", json!({"full": true}))?)
    }

    fn enter(&mut self, chrome: bool) -> Result<()> {
        if self.in_chrome != chrome {
            let name = if chrome { "chrome" } else { "content" };
            self.command("Marionette:SetContext", json!({"value": name}))?;
            self.in_chrome = chrome;
        }
        Ok(())
    }

    fn value(&mut self, name: &str, params: Value) -> Result<Value> {
        Ok(self.command(name, params)?["value"].take())
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers write the parameters on the spot"
    )]
    fn command(&mut self, name: &str, params: Value) -> Result<Value> {
        self.last_id += 1;
        let message = json!([0, self.last_id, name, params]).to_string();
        write!(self.stream, "{}:{message}", message.len())?;
        let reply = self.receive().with_context(|| format!("after {name}"))?;
        ensure!(reply[1] == self.last_id, "an answer out of order: {reply}");
        if reply[2].is_null() {
            return Ok(reply[3].clone());
        }
        bail!(
            "{}: {} ({name})\n{}",
            reply[2]["error"].as_str().unwrap_or_default(),
            reply[2]["message"].as_str().unwrap_or_default(),
            reply[2]["stacktrace"].as_str().unwrap_or_default()
        );
    }

    fn receive(&mut self) -> Result<Value> {
        let mut length = 0;
        loop {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            match byte[0] {
                b':' => break,
                digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
                other => bail!("Marionette sent {other} where a length belongs"),
            }
        }
        let mut message = vec![0; length];
        self.stream.read_exact(&mut message)?;
        Ok(serde_json::from_slice(&message)?)
    }
}

fn text(value: &Value) -> Result<String> {
    let words = value.as_str();
    Ok(words
        .ok_or_else(|| anyhow!("text was expected, not {value}"))?
        .to_owned())
}
