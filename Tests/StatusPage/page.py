"""Checks the status page in headless Chromium."""

import functools
import html.parser
import json
import os
import sys
import time
from pathlib import Path

import stage
from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from stage import eventually, require

SCREENSHOTS = Path(sys.argv[2]) if len(sys.argv) > 2 else None
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202e"

# All texts and classes of the figures, in the form of Texts.
READ = """
const text = x => [x.textContent, x.className.trim()];
return {
  facts: [...document.querySelectorAll('li')].map(x => [...x.children].map(text)),
  sections: [...document.querySelectorAll('section')].map(x =>
    [x.id, x.hidden, x.querySelector('p').textContent,
     [...x.querySelectorAll('tbody tr')].map(row => [...row.cells].map(text))])
};
"""


@functools.cache
def browser(has_script=True):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,1000":
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not has_script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(stage.PATIENCE)
    return driver


def opened(page_stage, has_script=True):
    driver = browser(has_script)
    driver.get(page_stage.page_url)
    if has_script:
        eventually(lambda: live(driver) == "Live", "a live page")
    return driver


def live(driver):
    return driver.find_element(By.ID, "live").text


def fact(driver, name):
    for row in driver.find_elements(By.CSS_SELECTOR, "li"):
        if row.find_element(By.TAG_NAME, "span").text == name:
            return row.find_element(By.TAG_NAME, "b").text
    return ""


def rows(driver, section):
    found = driver.find_elements(By.CSS_SELECTOR, f"#{section} tbody tr")
    return [[cell.text for cell in row.find_elements(By.XPATH, "./*")] for row in found]


def screenshot(driver, name):
    if SCREENSHOTS:
        SCREENSHOTS.mkdir(exist_ok=True)
        driver.save_screenshot(SCREENSHOTS / f"{name}.png")


def emulate(driver, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def require_no_complaints(driver):
    complaints = [entry for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
    require(not complaints, f"the browser complains: {complaints}")


class Texts(html.parser.HTMLParser):
    """The figures of a page as it is sent, in the form of READ."""

    def __init__(self, page):
        super().__init__()
        self.facts, self.sections, self.target = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        kind = attributes.get("class", "").strip()
        if tag == "li":
            self.facts.append([])
        elif tag in ("span", "b"):
            self.target = ["", kind]
            self.facts[-1].append(self.target)
        elif tag == "section":
            self.sections.append([attributes["id"], "hidden" in attributes, "", []])
        elif tag == "p" and self.sections:
            self.target = self.sections[-1]
        elif tag == "tr" and self.sections:
            self.sections[-1][3].append([])
        elif tag in ("td", "th") and self.sections and attributes.get("scope") != "col":
            self.target = ["", kind]
            self.sections[-1][3][-1].append(self.target)

    def handle_endtag(self, tag):
        if tag in ("span", "b", "p", "td", "th"):
            self.target = None

    def handle_data(self, data):
        if isinstance(self.target, list):
            self.target[2 if len(self.target) == 4 else 0] += data

    @property
    def value(self):
        # Without the row of the columns' names.
        for section in self.sections:
            section[3] = [row for row in section[3] if row]
        return {"facts": self.facts, "sections": self.sections}


def make_figures(page_stage):
    for _ in range(3):
        require(page_stage.call("/proxy/balances?instance_id=main") == 200, "a call")
        require(page_stage.call("/proxy/balances?instance_id=down") == 502, "a call to an instance that is down")
    page_stage.call("/proxy/a%3Cb%3E/%3Cscript%3E?secret=1")
    page_stage.call("/proxy/blnk_at_SECRET/x", token="wrong")
    page_stage.call("/proxy/balances?instance_id=main", method="POST")


def works_without_script(page_stage):
    """Without JavaScript, the page is complete"""
    make_figures(page_stage)
    driver = opened(page_stage, has_script=False)
    require(fact(driver, "State") == "serving", "the state")
    instances = rows(driver, "instances")
    require([row[0] for row in instances] == ["down", "calm", "main"], f"{instances}: those in trouble come first")
    require("Couldn't connect" in instances[0][-1], "the last fault with its cause")
    require([row[3] for row in instances] == ["on", "off", "on"], "maintenance")
    clients = rows(driver, "clients")
    require(clients[0][0] == "app" and clients[0][4].startswith("UPSTREAM_REFUSED 3, "), f"{clients}")
    recent = [row[1] for row in rows(driver, "recent")]
    require(recent[:3] == ["SCOPE_INSUFFICIENT", "TOKEN_INVALID", "ROUTE_UNKNOWN"], f"{recent}")
    require("reload it" in driver.find_element(By.TAG_NAME, "noscript").text, "the hint to reload")
    require(not driver.find_element(By.ID, "pause").is_displayed(), "a button without a function")
    page = driver.page_source
    require("SECRET" not in page and "secret" not in page, "a token or a query is in the page")
    require_no_complaints(driver)
    screenshot(driver, "without-script")


def draws_events(page_stage):
    """The script shows exactly what an event says, also where rows come and go"""
    driver = opened(page_stage)
    driver.execute_script("paused = true; connect()")
    view = json.loads(page_stage.event())
    require(len(view["facts"]) > 10 and len(view["tables"]) == 5 and view["tables"]["recent"]["rows"], "figures")
    draw(driver, view)
    require_drawn(driver, view)
    # As many rows, and in the order of the page.
    by_gateway = Texts(page_stage.page()).value
    require([[row[0][0] for row in rows] for *_, rows in by_gateway["sections"]] ==
            [[row[0][0] for row in view["tables"][name]["rows"]] for name, *_ in by_gateway["sections"]],
            "the page and the event have different rows")  # fmt: skip
    for table in view["tables"].values():
        table.update(rows=table["rows"][::-1][1:], note="some", isShown=not table["isShown"])
    del view["facts"][3:]
    draw(driver, view)
    require_drawn(driver, view)
    require_no_complaints(driver)


def draw(driver, view):
    driver.execute_script("draw(arguments[0])", view)


def require_drawn(driver, view):
    shown = driver.execute_script(READ)
    facts = [[[name, ""], [text, tone]] for name, text, tone in view["facts"] + view["details"]]
    require(shown["facts"] == facts, f"{shown['facts']}\n{facts}")
    numbers = driver.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('section')].map(x =>"
        "[x.id, [...x.querySelectorAll('thead th')].map(th => th.className)]))")
    require(numbers["instances"].count("n") == 7, f"{numbers}")
    for name, is_hidden, note, rows in shown["sections"]:
        table = view["tables"][name]
        kinds = numbers[name]
        expected = [[[text, f"{tone} {kind}".strip()] for (text, tone), kind in zip(row, kinds, strict=True)]
                    for row in table["rows"]]  # fmt: skip
        require((is_hidden, note, rows) == (not table["isShown"], table["note"], expected), f"{name}: {rows}\n{expected}")
    require(driver.find_element(By.ID, "span").text == view["span"], "the time of the rates")


def shows_hostile_clients(page_stage):
    """Texts of clients are texts"""
    driver = opened(page_stage)
    driver.execute_script("paused = true; connect()")
    view = json.loads(page_stage.event())
    texts = HOSTILE, "12", "-", "4", "RATE_LIMITED 3, TOKEN_EXPIRED 1", "3", "1.2 kB", "5.6 MB", "2030-01-01 00:00:00"
    view["tables"]["clients"]["rows"] = [[[text, ""] for text in texts]]
    draw(driver, view)
    require(rows(driver, "clients") == [list(texts)], f"{rows(driver, 'clients')}")
    require([row[3] for row in rows(driver, "instances")] == ["on", "off", "on"], "maintenance")
    screenshot(driver, "clients")
    axe(driver, "clients")


def axe(driver, name):
    tool = Axe(driver)
    tool.inject()
    results = tool.run()
    require(not results["violations"], f"{name}: {tool.report(results['violations'])}")
    require(len(results["passes"]) > 15, f"{name}: axe has checked little")


def is_accessible(page_stage):
    """axe finds nothing in light, in dark, and on a narrow screen"""
    driver = opened(page_stage)
    for scheme in "light", "dark":
        emulate(driver, scheme)
        require(driver.execute_script("return matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark"),
                "the scheme")  # fmt: skip
        screenshot(driver, scheme)
        axe(driver, scheme)
    driver.set_window_size(500, 1000)
    screenshot(driver, "narrow")
    axe(driver, "narrow")
    width = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    require(width[0] <= width[1], f"the page is wider than a narrow window: {width}")
    driver.set_window_size(1440, 1000)
    emulate(driver, "light")


def is_live(page_stage):
    """Figures change without a reload, and rates are shown"""
    driver = opened(page_stage)
    before = int(fact(driver, "Requests").split(",")[0])
    driver.execute_script("window.isSame = true")
    page_stage.call("/proxy/balances?instance_id=main")
    eventually(lambda: int(fact(driver, "Requests").split(",")[0]) == before + 1, "one more request")
    eventually(lambda: "per s" in fact(driver, "Requests"), "a rate")
    require("percentiles: last" in driver.find_element(By.ID, "span").text, "the time of the rates")
    require(driver.execute_script("return window.isSame"), "the page was loaded again")
    require_no_complaints(driver)


def shows_hostile_text(page_stage):
    """Texts from files and requests are texts, not markup"""
    driver = opened(page_stage)
    page_stage.write_instances({**page_stage.instances, "bad": {HOSTILE: 1}})
    eventually(lambda: HOSTILE in driver.find_element(By.ID, "faults").text, "the contained fault")
    calls = [row[4] for row in rows(driver, "recent")]
    require("GET /proxy/a%3Cb%3E/%3Cscript%3E" in calls, f"{calls}")
    driver.get(page_stage.page_url)
    for element in "img", "main script":
        require(not driver.find_elements(By.CSS_SELECTOR, element), f"{element} in the page")
    require("&lt;script&gt;alert(1)" in page_stage.page(), "the fault in the page as sent")
    page_stage.write_instances(page_stage.instances)
    eventually(lambda: not driver.find_element(By.ID, "faults").is_displayed(), "the end of the fault")
    require_no_complaints(driver)


def has_a_keyboard(page_stage):
    """The keyboard reaches the button and all tables, and pauses the page"""
    driver = opened(page_stage)
    reached = []
    for _ in range(4):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        active = driver.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("aria-labelledby"))
    require(reached == ["pause", "h-instances", "h-clients", "h-recent"], f"{reached}")
    button = driver.find_element(By.ID, "pause")
    button.send_keys(Keys.ENTER)
    require(live(driver) == "Paused" and button.text == "Continue", "the pause")
    before = fact(driver, "Up")
    time.sleep(1.5)
    require(fact(driver, "Up") == before, "a paused page changes")
    button.send_keys(Keys.SPACE)
    eventually(lambda: live(driver) == "Live", "the end of the pause")


def keeps_the_place(page_stage):
    """An update keeps focus, scroll position and selection"""
    driver = opened(page_stage)
    driver.set_window_size(500, 400)
    driver.execute_script("""
        const region = document.querySelector('#instances [role=region]');
        region.focus({preventScroll: true});
        region.scrollLeft = 40;
        scrollTo(0, 60);
        const cell = document.querySelector('#instances tbody th').firstChild;
        getSelection().setBaseAndExtent(cell, 1, cell, 3);
        window.updates = 0;
        new MutationObserver(() => updates++).observe(byId('details'), {subtree: true, childList: true});
    """)
    read = """
        return [document.activeElement.getAttribute('aria-labelledby'), document.activeElement.scrollLeft, scrollY,
                getSelection().toString()]
    """
    before = driver.execute_script(read)
    require(before[:3] == ["h-instances", 40, 60] and len(before[3]) == 2, f"{before}")
    eventually(lambda: driver.execute_script("return updates > 1"), "two updates")
    after = driver.execute_script(read)
    driver.set_window_size(1440, 1000)
    require(before == after, f"{before} has become {after}")


def follows_an_upgrade(page_stage):
    """An open page continues after an upgrade, and says when the gateway is gone"""
    driver = opened(page_stage)
    successor = page_stage.upgrade()
    eventually(lambda: fact(driver, "Upgrade").startswith("complete"), "the state of the upgrade")
    require(live(driver) == "Live", "a live page")
    os.kill(successor, stage.signal.SIGKILL)
    eventually(lambda: live(driver).startswith("Not connected"), "the loss of the gateway")
    screenshot(driver, "not-connected")
    page_stage.serve()
    eventually(lambda: live(driver) == "Live", "the next gateway")


def stays_usable(page_stage):
    """With 10,000 instances the page stays small, and shows those in trouble first"""
    many = {f"i{number:05}": page_stage.instances["down"] for number in range(10_000)}
    page_stage.write_instances({**many, "zzz": page_stage.instances["down"]})
    driver = browser()
    driver.get(page_stage.page_url)
    eventually(lambda: fact(driver, "Instances").startswith("10001"), "10,001 instances", seconds=60)
    page_stage.call("/proxy/balances?instance_id=zzz")
    eventually(lambda: rows(driver, "instances")[0][0] == "zzz", "the instance in trouble")
    require("9901 more are not shown" in driver.find_element(By.CSS_SELECTOR, "#instances p").text, "the note")
    require(len(driver.find_elements(By.CSS_SELECTOR, "#instances tbody tr")) == 100, "100 rows")
    size = len(page_stage.event())
    require(size < 100_000, f"an event of {size} bytes")
    ticks = processor_ticks(page_stage.process.pid)
    time.sleep(5)
    share = (processor_ticks(page_stage.process.pid) - ticks) / 5
    print(f"  an event has {size} bytes; the admin endpoint uses {share:.0f} % of a core")
    require(share < 20, f"{share} % of a core for one viewer")
    driver.get("about:blank")


def processor_ticks(process):
    for task in Path(f"/proc/{process}/task").iterdir():
        if (task / "comm").read_text() == "admin\n":
            fields = (task / "stat").read_text().split()
            return int(fields[13]) + int(fields[14])
    raise stage.Fault("there is no admin thread")


if __name__ == "__main__":
    try:
        stage.run([
            works_without_script, draws_events, shows_hostile_clients, is_accessible, is_live,
            shows_hostile_text, has_a_keyboard, keeps_the_place, follows_an_upgrade, stays_usable,
        ], sys.argv[1])  # fmt: skip
    finally:
        for has_script in True, False:
            browser(has_script).quit()
