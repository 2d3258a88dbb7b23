/** The page that draws panels: `window.drawPanels(input, mode)`, once they stand, gives what can be read on them. */
import 'uplot/dist/uPlot.min.css';

import { ThemeContext, createTheme, type GrafanaTheme2, type TimeRange } from '@grafana/data';
import { GlobalStyles, PanelChrome } from '@grafana/ui';
import type { ReactNode } from 'react';
import { createRoot } from 'react-dom/client';

import type { Input } from '../input.ts';
import { drawables, type Drawable } from '../panel.ts';
import { colourName, textsOf } from '../texts.ts';
import { CHARTS, timeRange } from './charts.tsx';
import { places, type Place } from './layout.ts';

export interface Drawn {
  title: string;
  /** What stands on the panel below its title, as a browser's user would copy it. */
  text: string;
  /** How many points of its charts have each colour, those of Grafana's palette by their names. */
  colours: Record<string, number>;
}

/** How much a line's colour may change by what lies over it: the faint areas below other lines. */
const TINGE = 12;

declare global {
  interface Window {
    drawPanels: (input: Input, mode: 'dark' | 'light') => Promise<Drawn[]>;
  }
}

window.drawPanels = async (input, mode) => {
  const theme = createTheme({ colors: { mode } });
  const all = await drawables(input, theme);
  const root = createRoot(document.getElementById('panels')!);
  const render = (children: ReactNode) =>
    root.render(
      <ThemeContext.Provider value={theme}>
        <GlobalStyles />
        {children}
      </ThemeContext.Provider>,
    );
  render(null);
  await settled();
  // Grafana measures texts before it draws them: its fonts have to be there first.
  await Promise.all([400, 500].map((weight) => document.fonts.load(`${weight} 14px Inter`)));
  render(<Panels drawables={all} theme={theme} range={timeRange(input.from, input.to)} />);
  await settled();
  return all.map(({ panel }) => drawn(panel.title!, panel.id!, theme));
};

interface PanelsProps {
  drawables: Drawable[];
  theme: GrafanaTheme2;
  range: TimeRange;
}

function Panels({ drawables, theme, range }: PanelsProps) {
  const stands = places(
    drawables.map(({ panel }) => panel),
    document.documentElement.clientWidth,
  );
  const bottom = Math.max(...stands.map(({ top, height }) => top + height));
  return (
    <div style={{ position: 'relative', height: bottom + 8, background: theme.colors.background.canvas }}>
      {drawables.map((drawable, place) => (
        <OnePanel key={drawable.panel.id} drawable={drawable} place={stands[place]!} theme={theme} range={range} />
      ))}
    </div>
  );
}

interface OnePanelProps {
  drawable: Drawable;
  place: Place;
  theme: GrafanaTheme2;
  range: TimeRange;
}

function OnePanel({ drawable, place, theme, range }: OnePanelProps) {
  const { panel } = drawable;
  const chart = CHARTS[panel.type];
  if (!chart) {
    throw new Error(`a panel of the type ${panel.type} cannot be drawn here`);
  }
  const { instead } = textsOf(drawable, theme);
  const hasFields = drawable.frames.some((frame) => frame.fields.length > 0);
  // A stat, and a table that has columns, say themselves that there are no data.
  const isDrawn = instead === null || panel.type === 'stat' || (panel.type === 'table' && hasFields);
  return (
    <div style={{ position: 'absolute', ...place }} data-panel={panel.id}>
      <PanelChrome title={panel.title} width={place.width} height={place.height}>
        {(width, height) => (
          <div data-content>
            {isDrawn ? (
              chart(drawable, { width, height, theme, range })
            ) : (
              <div style={{ height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>
                {instead}
              </div>
            )}
          </div>
        )}
      </PanelChrome>
    </div>
  );
}

/** Charts draw themselves in the frame after the one in which they learn their size. */
async function settled(): Promise<void> {
  for (let frame = 0; frame < 10; frame++) {
    await new Promise(requestAnimationFrame);
  }
}

function drawn(title: string, id: number, theme: GrafanaTheme2): Drawn {
  const content = document.querySelector<HTMLElement>(`[data-panel="${id}"] [data-content]`)!;
  const colours: Record<string, number> = {};
  for (const canvas of content.querySelectorAll('canvas')) {
    for (const [colour, count] of opaquePixels(canvas)) {
      const name = colourName(`#${colour.toString(16).padStart(6, '0')}`, theme, TINGE);
      colours[name] = (colours[name] ?? 0) + count;
    }
  }
  return { title, text: content.innerText, colours };
}

/** How many points of a canvas have each colour; what shines through is none. */
function opaquePixels(canvas: HTMLCanvasElement): Map<number, number> {
  const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
  const counts = new Map<number, number>();
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 255) {
      const colour = (data[at]! << 16) | (data[at + 1]! << 8) | data[at + 2]!;
      counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
  }
  return counts;
}
