// Walks through the dashboard as somebody who sets it up does: in Debian's Chromium, with or without JavaScript,
// finding every control by the name that people read. With JavaScript each page is looked at by axe as well, in
// both themes, on a desk and on the smallest phone.
//
//   node dashboard.mjs SETUP_LINK on|off [DIRECTORY_FOR_PICTURES]
import assert from "node:assert/strict";
import axe from "axe-core";
import { chromium } from "playwright-core";

const [setupLink, script, pictures] = process.argv.slice(2);
const withScript = script === "on";
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const PASSWORD = "ochre tunnel parsnip lantern";
const origin = new URL(setupLink).origin;

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const said = [];
const titles = new Map();

async function open() {
  const context = await browser.newContext({
    javaScriptEnabled: withScript,
    viewport: { width: 1280, height: 900 },
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => said.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error}`));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) said.push(`request to ${request.url()}`);
  });
  return page;
}

/// Looks at a page; what is wrong with it is said at the end.
async function look(page, name) {
  const outline = await page.locator("html").ariaSnapshot();
  assert.equal(outline.match(/heading "[^"]*" \[level=1\]/g)?.length, 1, `${name}: one h1`);
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  const title = await page.title();
  assert.ok((titles.get(title) ?? name) === name, `${name} and ${titles.get(title)} have one title`);
  titles.set(title, name);
  for (const hidden of await page.locator("[hidden]").all()) assert.ok(await hidden.isHidden(), `${name}: hidden`);
  if (!withScript) return;
  await page.evaluate(axe.source);
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 320]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      const found = await page.evaluate((tags) => axe.run(document, { runOnly: tags }), TAGS);
      for (const { id, nodes } of [...found.violations, ...found.incomplete]) {
        said.push(`${name}, ${colorScheme}, ${width}: ${id}: ${nodes.map((node) => node.html).join(" ")}`);
      }
      const isWide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      if (isWide) said.push(`${name}, ${width}: scrolls sideways`);
      if (pictures) await page.screenshot({ path: `${pictures}/${name}-${colorScheme}-${width}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
}

const field = (page, label) => page.getByLabel(label, { exact: true });
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const follow = (page, name) => page.getByRole("link", { name, exact: true }).first().click();
const arrive = (page, name) => page.getByRole("heading", { level: 1, name, exact: true }).waitFor();

/// Presses a button that leads to the same page, where the errors are.
async function pressAndStay(page, name) {
  await press(page, name);
  await page.getByRole("alert").waitFor();
}

async function main() {
  const ada = await open();

  // Set up.
  await ada.goto(setupLink);
  await look(ada, "welcome");
  await field(ada, "E-mail address").fill("ada@example.com");
  await field(ada, "Your name").fill("Ada Lovelace");
  await field(ada, "Password").fill("short");
  await pressAndStay(ada, "Join");
  assert.equal(await field(ada, "E-mail address").inputValue(), "ada@example.com", "what was typed is kept");
  assert.equal(await field(ada, "Password").inputValue(), "", "but for the password");
  if (withScript) {
    assert.equal(await ada.evaluate(() => document.activeElement.id), "errors", "errors come first");
  }
  await look(ada, "welcome");
  await field(ada, "Password").fill(PASSWORD);
  await press(ada, "Join");
  await arrive(ada, "Overview");
  await look(ada, "overview");

  // Make a key.
  await follow(ada, "API Keys");
  await arrive(ada, "API Keys");
  await look(ada, "keys");
  await follow(ada, "Create Key");
  await arrive(ada, "Create a key");
  await look(ada, "new-key");
  await field(ada, "Label").fill("staging-cron");
  await field(ada, "Read and write").check();
  await field(ada, "Expiry").selectOption("In 90 days");
  await press(ada, "Generate");
  await arrive(ada, "Key created");
  await look(ada, "made-key");
  const shown = async () => (await ada.locator("#key").textContent()).trim();
  const key = await shown();

  // Call with it.
  const me = await fetch(`${origin}/api/v1/me`, { headers: { Authorization: `Bearer ${key}` } });
  assert.equal(me.status, 200);
  assert.equal((await me.json()).data.name, "staging-cron");

  // A reload shows the same key and makes no second one.
  await ada.reload();
  assert.equal(await shown(), key);
  await follow(ada, "I have stored it");
  await arrive(ada, "staging-cron");
  await look(ada, "key");
  await follow(ada, "API Keys");
  assert.equal(await ada.getByRole("link", { name: "staging-cron" }).count(), 1);
  await look(ada, "keys");

  // Look back.
  await follow(ada, "Usage");
  await arrive(ada, "Usage");
  await look(ada, "usage");
  await follow(ada, "Plan");
  await arrive(ada, "Plan");
  await look(ada, "plan");
  await follow(ada, "Audit log");
  await arrive(ada, "Audit log");
  await look(ada, "audit-log");
  await follow(ada, "Your account");
  await arrive(ada, "Your account");
  await look(ada, "account");

  // Invite a colleague, who joins. The one at the link cannot yet do anything but add a second factor.
  await follow(ada, "Team");
  await arrive(ada, "Team");
  await look(ada, "team");
  await field(ada, "E-mail address").fill("bo@example.com");
  await field(ada, "Viewer").check();
  await press(ada, "Invite");
  await arrive(ada, "Invitation created");
  await look(ada, "invited");
  const link = (await ada.locator("#link").textContent()).trim();
  const bo = await open();
  await bo.goto(link);
  await field(bo, "Your name").fill("Bo <script>alert(1)</script> مرحبا 😀");
  await field(bo, "Password").fill(PASSWORD);
  await press(bo, "Join");
  await arrive(bo, "Set up two-factor sign-in");
  await look(bo, "two-factor");
  await bo.goto(`${origin}/dashboard/settings/api-keys`);
  await arrive(bo, "Set up two-factor sign-in");
  await bo.goto(link);
  await arrive(bo, "This link does not work");
  await look(bo, "dead-link");

  // By now the first one has to as well.
  await ada.goto(`${origin}/dashboard`);
  await arrive(ada, "Set up two-factor sign-in");
  await press(ada, "Sign out");
  await arrive(ada, "Sign in");
  await look(ada, "sign-in");
  await ada.goto(`${origin}/dashboard/account`);
  await arrive(ada, "Sign in");
  await field(ada, "E-mail address").fill("ada@example.com");
  await field(ada, "Password").fill("not the password");
  await pressAndStay(ada, "Sign in");
  await look(ada, "sign-in");

  // No page anywhere else.
  await ada.goto(`${origin}/dashboard/no/such/page`);
  await arrive(ada, "Not found");
  await look(ada, "not-found");
}

try {
  await main();
  // A page that is not there says so in the console too.
  const wrong = said.filter((line) => !/Failed to load resource: the server responded with a status of (403|404|422)/.test(line));
  assert.deepEqual(wrong, []);
} finally {
  await browser.close();
}
