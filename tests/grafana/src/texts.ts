/** What a reader of a panel sees: the text and the colour of each value, each column, each series. */
import {
  colorManipulator,
  formattedValueToString,
  getFieldDisplayName,
  getFieldDisplayValues,
  getValueFormats,
  FieldType,
  type DisplayValue,
  type Field,
  type GrafanaTheme2,
  type ReduceDataOptions,
} from '@grafana/data';
import { TableCellDisplayMode, type TableFieldOptions } from '@grafana/schema';

import { TIME_ZONE, unknownTransformations, type Drawable } from './panel.ts';

export interface Shown {
  text: string;
  /** By its name in Grafana's palette, or as #rrggbb; null where the value is drawn in the colour of all text. */
  colour: string | null;
}

export interface Titled extends Shown {
  title: string;
}

export interface Cell extends Shown {
  /** Where a click on it leads. */
  links: string[];
}

export interface PanelTexts {
  title: string;
  type: string;
  /** The values of a stat or of bars, in their order. */
  values: Titled[];
  /** A table's columns, from left to right, and its rows before the reader sorts them. */
  columns: string[];
  rows: Cell[][];
  /** The lines of a chart, each with its points from left to right. */
  series: { name: string; values: Shown[] }[];
  /** What stands there instead, when there are no data at all. */
  instead: string | null;
  /** Units and transformations that Grafana does not know. */
  unknown: string[];
}

export function textsOf(drawable: Drawable, theme: GrafanaTheme2): PanelTexts {
  const { panel, fieldConfig, frames } = drawable;
  const has = (type: string) => panel.type === type;
  const isEmpty = frames.every((frame) => frame.length === 0);
  const columns = has('table') ? visible(frames.flatMap((frame) => frame.fields)) : [];
  return {
    title: panel.title ?? '',
    type: panel.type,
    values: has('stat') || has('bargauge') ? valuesOf(drawable, theme) : [],
    columns: columns.map((field) => getFieldDisplayName(field, frames[0], frames)),
    rows: has('table')
      ? Array.from({ length: frames[0]?.length ?? 0 }, (_, row) => columns.map((field) => cell(field, row, theme)))
      : [],
    series: has('timeseries') || has('state-timeline') ? seriesOf(drawable, theme) : [],
    instead: isEmpty ? (fieldConfig.defaults.noValue ?? 'No data') : null,
    unknown: [...unknownUnits(drawable), ...unknownTransformations(panel)],
  };
}

function valuesOf(drawable: Drawable, theme: GrafanaTheme2): Titled[] {
  return displayValues(drawable, theme).map(({ display }) => ({
    ...shown(display, theme),
    title: display.title ?? '',
  }));
}

/** The values of a stat or of bars, as their components want them. */
export function displayValues({ panel, fieldConfig, frames, replaceVariables }: Drawable, theme: GrafanaTheme2) {
  return getFieldDisplayValues({
    data: frames,
    fieldConfig,
    reduceOptions: panel.options?.reduceOptions as ReduceDataOptions,
    replaceVariables,
    sparkline: panel.options?.graphMode !== 'none',
    theme,
    timeZone: TIME_ZONE,
  });
}

function cell(field: Field, row: number, theme: GrafanaTheme2): Cell {
  const { text, colour } = shown(field.display!(field.values[row]), theme);
  const options = (field.config.custom as TableFieldOptions | undefined)?.cellOptions;
  const coloured =
    options?.type === TableCellDisplayMode.ColorBackground || options?.type === TableCellDisplayMode.ColorText;
  const links = field.getLinks?.({ valueRowIndex: row }) ?? [];
  return { text, colour: coloured ? colour : null, links: links.map(({ href }) => href ?? '') };
}

function seriesOf({ frames }: Drawable, theme: GrafanaTheme2): PanelTexts['series'] {
  return frames.flatMap((frame) =>
    visible(frame.fields)
      .filter((field) => field.type !== FieldType.time)
      .map((field) => ({
        name: getFieldDisplayName(field, frame, frames),
        values: Array.from(field.values, (value) => shown(field.display!(value), theme)),
      })),
  );
}

function visible(fields: Field[]): Field[] {
  return fields.filter((field) => {
    const custom = field.config.custom as (TableFieldOptions & { hideFrom?: { viz?: boolean } }) | undefined;
    return !custom?.hideFrom?.viz;
  });
}

function shown(display: DisplayValue, theme: GrafanaTheme2): Shown {
  return { text: formattedValueToString(display), colour: colourName(display.color, theme) };
}

function unknownUnits({ fieldConfig: { defaults, overrides } }: Drawable): string[] {
  const known = new Set(getValueFormats().flatMap((group) => group.submenu?.map(({ value }) => value) ?? []));
  const properties = overrides.flatMap((override) => override.properties).filter(({ id }) => id === 'unit');
  const units = [defaults.unit ?? 'none', ...properties.map(({ value }) => value as string)];
  // What begins with one of these prefixes is a format of its own: a date's, or a suffix.
  const isKnown = (unit: string) => known.has(unit) || /^(time|prefix|suffix|si|count|currency|bool):/.test(unit);
  return units.filter((unit) => !isKnown(unit));
}

/** The name of a colour in Grafana's palette, else #rrggbb; `slack` by how much each part of it may differ. */
export function colourName(colour: string | undefined, theme: GrafanaTheme2, slack = 0): string {
  const hex = colorManipulator.asHexString(colour ?? '').toLowerCase();
  const shades = theme.visualization.hues.flatMap((hue): { name: string; color: string }[] => hue.shades);
  const named = [{ name: 'text', color: theme.colors.text.primary }, ...shades];
  const wanted = parts(hex);
  const isNear = (other: string) => parts(other).every((part, at) => Math.abs(part - wanted[at]!) <= slack);
  return named.find(({ color }) => isNear(color))?.name ?? hex;
}

function parts(colour: string): number[] {
  return colorManipulator.decomposeColor(colour).values.slice(0, 3);
}
