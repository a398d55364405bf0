//! Checks the current page at several widths, in both colour schemes, and for screen readers.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::evidence::{artefacts, picture};

/// Widths in CSS pixels, and whether a picture is kept.
const WIDTHS: [(u32, bool); 3] = [(320, false), (360, true), (1280, true)];
/// Colour schemes, and their values of the preference that overrides the system's.
const SCHEMES: [(&str, u8); 2] = [("light", 1), ("dark", 0)];
const SCHEME: &str = "layout.css.prefers-color-scheme.content-override";

/// Saves screenshots of the page and returns its faults, each once.
pub(crate) fn check_page(browser: &mut Browser, name: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for (width, is_kept) in WIDTHS {
        set_width(browser, width)?;
        for (scheme, number) in SCHEMES {
            browser.set_pref(SCHEME, json!(number))?;
            let seen = inspect(browser, scheme == "dark").with_context(|| format!("looking at {name}"))?;
            faults.extend(
                seen.iter()
                    .map(|fault| format!("{name}, {width} px, {scheme}: {fault}")),
            );
            if is_kept {
                let file = format!("screenshots/{name}-{width}-{scheme}.png");
                picture(browser, &artefacts().join(file))?;
            }
        }
    }
    browser.set_pref(SCHEME, Value::Null)?;
    Ok(faults)
}

/// Clears the console.
pub(crate) fn clear_console(browser: &mut Browser) -> Result<()> {
    browser
        .marionette
        .chrome("Services.console.reset();", json!(null))?;
    Ok(())
}

/// Errors in the console that come from this server's pages: broken rules of its policy, scripts that failed.
pub(crate) fn console_errors(browser: &mut Browser, server: &str) -> Result<Vec<String>> {
    let script = r"
        return Services.console.getMessageArray()
            .filter((message) => message instanceof Ci.nsIScriptError)
            .filter(({ sourceName, category, flags, errorMessage }) =>
                (sourceName?.startsWith(args) || errorMessage.includes(args))
                && (/CSP|Content Security/.test(category + errorMessage) || !(flags & Ci.nsIScriptError.warningFlag)))
            .map(({ category, errorMessage }) => `${category}: ${errorMessage}`);";
    list(&browser.marionette.chrome(script, json!(server))?)
}

fn inspect(browser: &mut Browser, dark: bool) -> Result<Vec<String>> {
    let faults = browser
        .marionette
        .content(include_str!("page_check.js"), json!({"dark": dark}))?;
    list(&faults)
}

/// Makes the page this wide, which may be narrower than a window can be.
fn set_width(browser: &mut Browser, width: u32) -> Result<()> {
    let script = r#"
        const { style } = gBrowser.selectedBrowser;
        style.flex = "none";
        style.width = `${args}px`;"#;
    browser.marionette.chrome(script, json!(width))?;
    let script = r"
        for (let round = 0; round < 200 && innerWidth !== args; round += 1) {
            await new Promise((go) => requestAnimationFrame(go));
        }
        return innerWidth;";
    let got = browser.marionette.content(script, json!(width))?;
    anyhow::ensure!(got == width, "{got} px wide instead of {width}");
    Ok(())
}

fn list(value: &Value) -> Result<Vec<String>> {
    let items = value.as_array().context("a list")?;
    Ok(items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}

/// Fails if checks of pages found faults, and lists them.
pub(crate) fn no_faults(faults: &[String]) -> Result<()> {
    ensure!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    Ok(())
}
