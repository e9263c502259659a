"""Opens pages in Chromium, at each width, light and dark, with and without scripts, and prints as
JSON what went wrong with each and what was to be seen. Speaks the DevTools protocol over pipes.
Of all that, "few" leaves the ends.

    browser.py CHROMIUM SCREENSHOTS all|few PAGE...
"""

import base64
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile

# Width, scheme, and whether scripts run.
LOOKS = [(360, "light", True), (360, "dark", True), (768, "light", True), (768, "dark", True),
         (1280, "light", True), (1280, "dark", True), (360, "light", False)]

# What is to be seen: how far it goes beyond its width, and texts that are hard to read.
LOOK = r"""(() => {
  const numbers = (colour) => (colour.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const over = (top, below) => {
    const [r, g, b, a = 1] = top;
    return [r, g, b].map((v, i) => v * a + below[i] * (1 - a));
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const layer = numbers(getComputedStyle(at).backgroundColor);
      layers.push(layer);
      if ((layer[3] ?? 1) === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => {
      v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const faint = [];
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && texts < 4000) {
    const text = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    if (!text || element.closest("script, style, title") || !element.checkVisibility()) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const rect = element.closest("svg") && element.closest(".node").querySelector("rect");
    const below = rect ? numbers(getComputedStyle(rect).fill) : ground(element);
    const above = over(numbers(rect ? style.fill : style.color), below);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = contrast(above, below);
    if (ratio < (isLarge ? 3 : 4.5)) faint.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  const labelled = [...document.querySelectorAll("input, button, summary, a")].filter(
    (one) => one.checkVisibility() && !(one.labels?.length || one.textContent.trim()));
  return {
    over: document.documentElement.scrollWidth - WIDTH,
    faint: [...new Set(faint)].slice(0, 10),
    texts,
    unnamed: labelled.map((one) => one.outerHTML.slice(0, 80)),
    twice: [...document.querySelectorAll("[id]")].map((one) => one.id)
      .filter((id, at, all) => all.indexOf(id) !== at),
    lost: [...document.querySelectorAll("a[href^='#']")].map((one) => one.getAttribute("href"))
      .filter((href) => !document.getElementById(href.slice(1))),
    title: document.title,
    lang: document.documentElement.lang,
    landmarks: ["header", "main", "footer", "h1"].map((one) => document.querySelectorAll(one).length),
    entries: document.querySelectorAll(".entry").length,
    drawn: document.querySelectorAll("svg .node").length,
    tools: document.getElementById("tools")?.hidden === false,
  };
})()"""

# What happens when a marked node is chosen, by mouse or by keyboard, and when something is searched for.
USE = r"""(async () => {
  const used = {};
  const node = document.querySelector("svg a");
  if (node) {
    const moved = new Promise((done) => addEventListener("hashchange", done, { once: true }));
    node.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, view: window }));
    await moved;
    const entry = document.querySelector(location.hash);
    used.opened = entry.open && entry.contains(document.activeElement);
    node.focus();
    used.focused = document.activeElement === node;
    used.same = entry.querySelector(".address").textContent === node.querySelector("title").textContent;
  }
  const search = document.getElementById("search");
  if (search) {
    const last = [...document.querySelectorAll("details.entry .address")].pop().textContent;
    search.value = last;
    search.dispatchEvent(new Event("input"));
    const shown = [...document.querySelectorAll("details.entry")].filter((one) => one.checkVisibility());
    used.found = shown.length > 0 && shown.every((one) => one.textContent.includes(last));
    used.said = document.getElementById("matches").textContent.startsWith(`${shown.length} of `);
    search.value = "";
    search.dispatchEvent(new Event("input"));
    document.getElementById("unfold").click();
    used.unfolded = [...document.querySelectorAll("details.entry")].every((one) => one.open);
  }
  return used;
})()"""


class Browser:
    """A browser and the pipes to it."""

    def __init__(self, program, profile):
        # The browser reads descriptor 3 and writes 4; its ends move there, ours out of the way.
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
                for fd in (theirs_in, theirs_out, ours_in, ours_out)]
        for fd in (theirs_in, theirs_out, ours_in, ours_out):
            os.close(fd)
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update",
             "--disable-default-apps", "--remote-debugging-pipe", f"--user-data-dir={profile}",
             "about:blank"],
            pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        for fd in (3, 4, high[0], high[1]):
            os.close(fd)
        self.reading, self.writing = os.fdopen(high[2], "rb"), os.fdopen(high[3], "wb")
        self.buffer, self.number, self.events = b"", 0, []

    def message(self):
        while b"\0" not in self.buffer:
            read = self.reading.read1(65536)
            if not read:
                raise SystemExit("the browser went away")
            self.buffer += read
        one, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, session=None, **parameters):
        self.number += 1
        said = {"id": self.number, "method": method, "params": parameters}
        if session:
            said["sessionId"] = session
        self.writing.write(json.dumps(said).encode() + b"\0")
        self.writing.flush()
        while True:
            heard = self.message()
            if heard.get("id") == self.number:
                if "error" in heard:
                    raise SystemExit(f"{method}: {heard['error']}")
                return heard["result"]
            self.events.append(heard)

    def wait(self, method):
        """Until this event has come, which may be already."""
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message())


def value(result):
    if "exceptionDetails" in result:
        return {"failed": json.dumps(result["exceptionDetails"])}
    return result["result"].get("value")


def wrong(events, url):
    """Errors, and requests that left the page."""
    found = []
    for event in events:
        method, said = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            found.append("exception: " + said["exceptionDetails"]["text"])
        elif method == "Runtime.consoleAPICalled":
            found.append("console: " + json.dumps(said["args"]))
        elif method == "Log.entryAdded":
            found.append("log: " + said["entry"]["text"])
        elif method == "Audits.issueAdded":
            found.append("issue: " + json.dumps(said["issue"]))
        elif method == "Network.requestWillBeSent":
            asked = said["request"]["url"]
            if asked.split("#")[0] != url and not asked.startswith("data:"):
                found.append("request: " + asked)
    return found


def look(browser, page, width, scheme, scripts, screenshots):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
        browser.call(f"{domain}.enable", session)
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=900,
                 deviceScaleFactor=1, mobile=width < 600)
    browser.call("Emulation.setEmulatedMedia", session,
                 features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.call("Emulation.setScriptExecutionDisabled", session, value=not scripts)
    url = pathlib.Path(page).resolve().as_uri()
    browser.events.clear()
    browser.call("Page.navigate", session, url=url)
    browser.wait("Page.loadEventFired")
    browser.call("Emulation.setScriptExecutionDisabled", session, value=False)
    evaluate = lambda script: value(browser.call(
        "Runtime.evaluate", session, expression=script, awaitPromise=True, returnByValue=True,
        userGesture=True))
    seen = evaluate(LOOK.replace("WIDTH", str(width)))
    name = f"{pathlib.Path(page).stem}-{width}-{scheme}{'' if scripts else '-bare'}"
    if screenshots:
        shot = browser.call("Page.captureScreenshot", session, format="png",
                            captureBeyondViewport=True,
                            clip={"x": 0, "y": 0, "width": width, "height": 2600, "scale": 1})
        path = pathlib.Path(screenshots) / f"{name}.png"
        path.write_bytes(base64.b64decode(shot["data"]))
    used = evaluate(USE) if scripts else {}
    again = evaluate(LOOK.replace("WIDTH", str(width)))
    # What was opened is looked at as well.
    seen["over"] = max(seen["over"], again["over"])
    seen["faint"] += again["faint"]
    found = {"name": name, "wrong": wrong(browser.events, url), "seen": seen, "used": used}
    browser.call("Target.closeTarget", targetId=target)
    return found


def main(program, screenshots, how, *pages):
    looks = LOOKS if how == "all" else [LOOKS[0], LOOKS[-2], LOOKS[-1]]
    # The browser's children may still write when it has gone.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        found = []
        for page in pages:
            for width, scheme, scripts in looks:
                found.append(look(browser, page, width, scheme, scripts, screenshots))
        browser.call("Browser.close")
        browser.process.wait()
    json.dump(found, sys.stdout)


main(*sys.argv[1:])
