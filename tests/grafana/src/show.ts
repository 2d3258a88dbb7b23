/** Reads an input, writes the texts and colours of its panels: `node show.mjs <input.json >texts.json`. */
import { text } from 'node:stream/consumers';

import { createTheme } from '@grafana/data';

import type { Input } from './input.ts';
import { drawables } from './panel.ts';
import { textsOf } from './texts.ts';

// Grafana's library was written for browsers: it asks the window whether it runs inside a scene, and for the language.
Object.defineProperties(globalThis, {
  window: { value: globalThis },
  navigator: { value: { language: 'en-US', languages: ['en-US'] } },
});

const input = JSON.parse(await text(process.stdin)) as Input;
const theme = createTheme({ colors: { mode: 'dark' } });
const panels = (await drawables(input, theme)).map((drawable) => textsOf(drawable, theme));
process.stdout.write(JSON.stringify({ panels }));
