/** What Grafana says that the JSON of a dashboard may hold: the types of its own schema library, as JSON has them. */
import type * as bars from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as graph from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as raw from '@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen';

import type { Target } from './input.ts';

/**
 * A type as JSON has it: enums by their values; nothing is required, as Grafana has a default for what is left out. What
 * is there must have a name that Grafana knows, and a value that it takes.
 */
type Json<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Json<Item>[]
    : T extends object
      ? { [Key in keyof T]?: Json<T[Key]> }
      : T;

/** The properties that the fields of every panel have. */
type Standard = Omit<raw.FieldConfig, 'custom'>;

/** A query as the Prometheus data source reads it, whose types are in no library. */
interface Query extends Target {
  datasource: raw.DataSourceRef;
  expr: string;
  hide: boolean;
  instant: boolean;
  interval: string;
  range: boolean;
}

interface Visualization<Options, Custom> {
  panel: Omit<raw.Panel, 'options' | 'fieldConfig' | 'targets'> & {
    options: Options;
    targets: Query[];
    fieldConfig: Omit<raw.FieldConfigSource, 'defaults'> & { defaults: Standard & { custom: Custom } };
  };
  custom: Custom;
}

interface Visualizations {
  bargauge: Visualization<bars.Options, Record<string, never>>;
  stat: Visualization<stat.Options, Record<string, never>>;
  'state-timeline': Visualization<timeline.Options, timeline.FieldConfig>;
  table: Visualization<table.Options, table.FieldConfig>;
  timeseries: Visualization<graph.Options, graph.FieldConfig>;
}

/** A panel of a type. */
export type PanelOf<Type extends keyof Visualizations> = Json<Visualizations[Type]['panel']>;

/** What an override may set in every panel, as if it stood in `defaults`. */
export type StandardProperty = Json<Standard>;

/** What an override may set in a panel of a type, as `custom.*`. */
export type CustomProperty<Type extends keyof Visualizations> = Json<Visualizations[Type]['custom']>;

/** With what Grafana's editor adds, and no schema names. */
type Variable = raw.VariableModel & { definition: string };

/** With what the Prometheus data source reads there; it knows the query by its old place too. */
type Annotation = Omit<raw.AnnotationQuery, 'target'> &
  Record<'expr' | 'step' | 'tagKeys' | 'textFormat' | 'titleFormat', string> & {
    target: Query;
    useValueForTime: boolean;
  };

/** A dashboard without its panels. */
export type Frame = Json<
  Omit<raw.Dashboard, 'panels' | 'templating' | 'annotations'> & {
    templating: { list: Variable[] };
    annotations: { list: Annotation[] };
  }
>;

/** A row without its panels. */
export type Row = Json<Omit<raw.RowPanel, 'panels'>>;
