/** Where the panels stand, in pixels, on Grafana's grid of 24 columns. */
import type { Panel } from '@grafana/schema';

const COLUMNS = 24;
const ROW_HEIGHT = 30;
const GAP = 8;

export interface Place {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Panels in their columns and sizes, moved up to where nothing is above them: some of the dashboard's are left out. */
export function places(panels: Panel[], width: number): Place[] {
  const column = (width - GAP) / COLUMNS;
  const filled = new Array<number>(COLUMNS).fill(0);
  return panels.map(({ gridPos }) => {
    const { x, w, h } = gridPos!;
    const row = Math.max(...filled.slice(x, x + w));
    filled.fill(row + h, x, x + w);
    return {
      left: GAP + x * column,
      top: GAP + row * (ROW_HEIGHT + GAP),
      width: w * column - GAP,
      height: h * (ROW_HEIGHT + GAP) - GAP,
    };
  });
}
