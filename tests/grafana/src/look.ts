/**
 * Looks at pages in Chromium: `node look.mjs`, which takes a command in each line of its input and answers in a line.
 *
 * The variable CHROMIUM names the browser. Expressions are evaluated by its debugger, to which no policy of a page holds.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { chromium, type CDPSession, type Page } from 'playwright-core';

interface Command {
  open?: { url: string; dark: boolean; width: number; height: number };
  evaluate?: string;
  until?: string;
  press?: string;
  axe?: true;
  picture?: string;
}

const PATIENCE_MS = 15_000;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM!,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-component-update', '--disable-sync'],
});
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let page: Page;
let debug: CDPSession;
let complaints: string[] = [];

async function open({ url, dark, width, height }: NonNullable<Command['open']>): Promise<void> {
  await page?.close();
  complaints = [];
  page = await browser.newPage({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
    deviceScaleFactor: 2,
    locale: 'en-GB',
    timezoneId: 'UTC',
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  debug = await page.context().newCDPSession(page);
  await page.goto(url, { waitUntil: 'load' });
}

async function evaluate(expression: string): Promise<unknown> {
  const options = { awaitPromise: true, returnByValue: true, allowUnsafeEvalBlockedByCSP: true };
  const { result, exceptionDetails } = await debug.send('Runtime.evaluate', { expression, ...options });
  if (exceptionDetails) {
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  }
  return result.value;
}

async function until(expression: string): Promise<unknown> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await evaluate(expression);
    if (value) {
      return value;
    }
    if (Date.now() > end) {
      throw new Error(`never: ${expression}\n${await evaluate('document.body.innerText')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function judge(): Promise<unknown> {
  await evaluate(axe);
  return evaluate(`axe.run().then(({ violations, passes }) => ({
    passed: passes.length,
    violations: violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.html).join(' ')),
  }))`);
}

async function answer(command: Command): Promise<unknown> {
  if (command.open) return open(command.open);
  if (command.evaluate) return evaluate(command.evaluate);
  if (command.until) return until(command.until);
  if (command.press) return page.keyboard.press(command.press);
  if (command.axe) return judge();
  if (command.picture) {
    await page.screenshot({ path: command.picture });
    return null;
  }
  throw new Error('no command');
}

try {
  for await (const line of createInterface({ input: process.stdin })) {
    const said = await answer(JSON.parse(line) as Command).then(
      (result) => ({ result: result ?? null }),
      (error: unknown) => ({ error: String(error) }),
    );
    process.stdout.write(`${JSON.stringify({ ...said, complaints })}\n`);
  }
} finally {
  await browser.close();
}
