/**
 * Draws panels in Chromium: `node draw.mjs PAGE_FOLDER dark|light WIDTH PICTURE.png <input.json >drawn.json`.
 *
 * The variable CHROMIUM names the browser. The page gets its own files, and no network.
 */
import { readFile } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';

import { chromium, type Route } from 'playwright-core';

import type { Input } from './input.ts';

const ORIGIN = 'http://panels.invalid';
const HTML = `<!doctype html><html lang="en"><meta charset="utf-8"><link rel="stylesheet" href="/page.css">
<body style="margin: 0"><div id="panels"></div>
<script>window.__grafana_public_path__ = '/public/';</script><script type="module" src="/page.js"></script>`;

const TYPES: Record<string, string> = { css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' };

const [folder, mode, width, picture] = process.argv.slice(2) as [string, 'dark' | 'light', string, string];
const input = JSON.parse(await text(process.stdin)) as Input;

async function answer(route: Route): Promise<void> {
  const url = new URL(route.request().url());
  if (url.pathname === '/') {
    return route.fulfill({ contentType: 'text/html', body: HTML });
  }
  const ending = url.pathname.split('.').pop()!;
  try {
    const body = await readFile(join(folder, normalize(url.pathname)));
    return await route.fulfill({ contentType: TYPES[ending] ?? 'application/octet-stream', body });
  } catch {
    return route.fulfill({ status: 404 }); // of which the browser complains
  }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM!,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-component-update', '--disable-sync'],
});
try {
  // Grafana's tables draw only what is in view: the window is taller than any dashboard.
  const page = await browser.newPage({ viewport: { width: Number(width), height: 5000 }, deviceScaleFactor: 2 });
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') {
      complaints.push(message.text());
    }
  });
  await page.route('**/*', answer);
  await page.goto(ORIGIN, { waitUntil: 'load' });
  const drawn = await page.evaluate(({ input, mode }) => window.drawPanels(input, mode), { input, mode });
  await page.locator('#panels').screenshot({ path: picture });
  process.stdout.write(JSON.stringify({ drawn, complaints }));
} finally {
  await browser.close();
}
