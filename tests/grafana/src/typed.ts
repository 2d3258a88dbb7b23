/**
 * Writes the JSON of a dashboard as TypeScript that claims to be of Grafana's types, so that the compiler names all that
 * Grafana does not know: `node typed.mjs <dashboard.json >build/dashboard.ts`.
 */
import { text } from 'node:stream/consumers';

import type { Dashboard, Panel, RowPanel } from '@grafana/schema';

const { panels = [], ...frame } = JSON.parse(await text(process.stdin)) as Dashboard;

const isRow = (one: Panel | RowPanel): one is RowPanel => one.type === 'row';

function constant(name: string, type: string, value: unknown): string {
  return `export const ${name}: grafana.${type} = ${JSON.stringify(value, null, 2)};`;
}

function* row({ panels: inside, ...itself }: RowPanel): Generator<string> {
  yield constant(`row_${itself.id}`, 'Row', itself);
  for (const one of inside) {
    yield* panel(one);
  }
}

function* panel(one: Panel): Generator<string> {
  const name = `panel_${one.id}`;
  const type = `<${JSON.stringify(one.type)}>`;
  yield constant(name, `PanelOf${type}`, one);
  const properties = (one.fieldConfig?.overrides ?? []).flatMap((override) => override.properties);
  for (const [place, { id, value }] of properties.entries()) {
    const custom = id.startsWith('custom.') ? id.slice('custom.'.length) : undefined;
    yield custom === undefined
      ? constant(`${name}_override_${place}`, 'StandardProperty', { [id]: value })
      : constant(`${name}_override_${place}`, `CustomProperty${type}`, { [custom]: value });
  }
}

const lines = [
  "import type * as grafana from '../src/schema.ts';",
  constant('dashboard', 'Frame', frame),
  ...panels.flatMap((one) => Array.from(isRow(one) ? row(one) : panel(one))),
];
process.stdout.write(`${lines.join('\n')}\n`);
