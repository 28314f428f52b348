// Looks at the pages of a folder with a headless Chromium: at 1280 and 390 pixels, light and dark, with JavaScript off, under the policy that the
// exporter serves them with. Fails where a page scrolls sideways, the console complains, or axe-core finds something serious.
//
// Usage: node tests/page/look.cjs PAGES PICTURES [DOCS]
//   PAGES     the folder that `MYSQL_CANARY_PAGES=PAGES cargo test --lib page::` has filled: NAME.html and policy.txt
//   PICTURES  where NAME-WIDTH-SCHEME.png go
//   DOCS      where the two pictures go that the documents show
// Needs the packages playwright-core and axe-core beside NODE_PATH, and Chromium: CHROMIUM says where, if not in the PATH.
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');
const { chromium } = require('playwright-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const WIDTHS = [1280, 390];
const SCHEMES = ['light', 'dark'];
// What the documents show: down to an element, so that what it says is not cut off, or so many pixels.
const DOCUMENTED = [
  { name: 'ill', width: 1280, height: 960, until: '.settings + p', scheme: 'light', file: 'status-page.png' },
  { name: 'targets', width: 390, height: 844, scheme: 'dark', file: 'status-page-phone.png' },
];
const [pages, pictures, docs] = process.argv.slice(2);
if (!pages || !pictures) {
  console.error('usage: node tests/page/look.cjs PAGES PICTURES [DOCS]');
  process.exit(2);
}

function find(command) {
  const found = (process.env.PATH || '').split(':').map((folder) => path.join(folder, command)).find((file) => fs.existsSync(file));
  if (!found) {
    console.error(`look: ${command} is missing: install the package of that name, or set CHROMIUM`);
    process.exit(2);
  }
  return found;
}

function serve(policy) {
  const server = http.createServer((request, response) => {
    const file = path.join(pages, path.basename(new URL(request.url, 'http://page').pathname));
    if (!fs.existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy }).end(fs.readFileSync(file));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

// A page under the policy: what the console says, whether it is too wide, and its picture.
async function look(browser, address, name, width, scheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, javaScriptEnabled: false });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => complaints.push(`console: ${message.text()}`));
  page.on('requestfailed', (request) => complaints.push(`request: ${request.url()}`));
  await page.goto(address, { waitUntil: 'load' });
  await page.screenshot({ path: path.join(pictures, `${name}-${width}-${scheme}.png`), fullPage: true });
  await context.close();
  return complaints;
}

// The upper part of a page, for the documents.
async function draw(browser, address, { width, height, until, scheme, file }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(address, { waitUntil: 'load' });
  const last = until && (await page.locator(until).first().boundingBox());
  const clip = { x: 0, y: 0, width, height: last ? Math.ceil(last.y + last.height) + 12 : height };
  await page.screenshot({ path: path.join(docs, file), clip, fullPage: true });
  await context.close();
}

// The same with scripts allowed from outside, for those that measure.
async function measure(browser, address, width, scheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, bypassCSP: true });
  const page = await context.newPage();
  await page.goto(address, { waitUntil: 'load' });
  const complaints = [];
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) complaints.push(`it is ${wide} pixels wide`);
  const outside = await page.evaluate(() =>
    [...document.querySelectorAll('svg.ladder text')]
      .map((text) => [text.textContent, text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()])
      .filter(([, text, svg]) => text.width > 0 && (text.left < svg.left - 1 || text.right > svg.right + 1))
      .map(([words]) => words));
  complaints.push(...outside.map((words) => `outside its picture: ${words}`));
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document));
  for (const { id, impact, help, nodes } of violations) {
    const words = `axe: ${impact}: ${id}: ${help}: ${nodes.length}, such as ${nodes[0].html.slice(0, 160)}`;
    if (['serious', 'critical'].includes(impact)) complaints.push(words);
    else console.log(`  note: ${words}`);
  }
  await context.close();
  return complaints;
}

async function main() {
  fs.mkdirSync(pictures, { recursive: true });
  const server = await serve(fs.readFileSync(path.join(pages, 'policy.txt'), 'utf8').trim());
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || find('chromium'),
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
  let bad = 0;
  try {
    for (const file of fs.readdirSync(pages).filter((name) => name.endsWith('.html')).sort()) {
      const name = path.basename(file, '.html');
      const address = `http://127.0.0.1:${server.address().port}/${file}`;
      for (const wanted of DOCUMENTED.filter((of) => docs && of.name === name)) await draw(browser, address, wanted);
      for (const width of WIDTHS) {
        for (const scheme of SCHEMES) {
          const complaints = [...(await look(browser, address, name, width, scheme)), ...(await measure(browser, address, width, scheme))];
          bad += complaints.length;
          console.log(`${name}, ${width} pixels, ${scheme}: ${complaints.length ? '' : 'good'}`);
          complaints.forEach((complaint) => console.log(`  ${complaint}`));
        }
      }
    }
  } finally {
    await browser.close();
    server.close();
  }
  process.exitCode = bad ? 1 : 0;
}

main();
