/**
 * What the Python half hands over, as one JSON document: the panels as the dashboard has them, and what Prometheus
 * answered to their queries. `tests/support/grafana.py` writes it.
 */
import type { Panel } from '@grafana/schema';

export interface Input {
  /** The dashboard's time range, in milliseconds of Unix time. */
  from: number;
  to: number;
  /** The chosen values of the dashboard's variables. */
  variables: Record<string, string[]>;
  panels: PanelInput[];
}

export interface PanelInput {
  panel: Panel;
  /** In the order of the panel's targets; a hidden target has none. */
  answers: Answer[];
}

export interface Answer {
  refId: string;
  /** Between two points of a range query, in milliseconds. */
  step: number;
  /** As it stands in `data` of the answer of Prometheus's HTTP API. */
  data: Result;
}

/** Seconds of Unix time, and a number as Prometheus writes it. */
export type Sample = [number, string];

export type Result =
  | { resultType: 'vector'; result: { metric: Record<string, string>; value: Sample }[] }
  | { resultType: 'matrix'; result: { metric: Record<string, string>; values: Sample[] }[] };

/** What a target of the Prometheus data source says of its answer. */
export interface Target {
  refId: string;
  format?: 'time_series' | 'table';
  legendFormat?: string;
}
