/** Bundles the programs for Node, and the page for Chromium, into the folder `build`. */
import { cp } from 'node:fs/promises';

import { build } from 'esbuild';

const outdir = 'build';

const forNode = {
  outdir,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
};

// Grafana's library goes into the bundle: Node itself cannot load its modules as they are.
await build({ ...forNode, entryPoints: ['src/show.ts'], loader: { '.css': 'empty' } });

await build({ ...forNode, entryPoints: ['src/draw.ts', 'src/look.ts', 'src/typed.ts'], packages: 'external' });

await build({
  entryPoints: ['src/page/page.tsx'],
  outdir: `${outdir}/page`,
  bundle: true,
  platform: 'browser',
  format: 'esm',
  target: 'chrome120',
  jsx: 'automatic',
  minify: true,
  // The editors among Grafana's components bring a font of their own; nobody sees it here.
  loader: { '.ttf': 'empty' },
  define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' },
});

// What Grafana's server has beside its pages, and its components ask for.
const served = `${outdir}/page/public`;
await cp('node_modules/@grafana/ui/dist/public/img/icons', `${served}/build/img/icons`, { recursive: true });
for (const [weight, name] of [
  [400, 'Regular'],
  [500, 'Medium'],
]) {
  const file = `node_modules/@fontsource/inter/files/inter-latin-${weight}-normal.woff2`;
  await cp(file, `${served}/fonts/inter/Inter-${name}.woff2`);
}
