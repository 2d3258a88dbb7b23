/** The visualizations, each with the component of @grafana/ui that Grafana's own panel of that name draws with. */
import {
  FieldType,
  applyNullInsertThreshold,
  dateTime,
  getDisplayValueAlignmentFactors,
  nullToValue,
  type DataFrame,
  type DisplayValueAlignmentFactors,
  type FieldDisplay,
  type GrafanaTheme2,
  type TimeRange,
  type VizOrientation,
} from '@grafana/data';
import type {
  BarGaugeDisplayMode,
  BarGaugeNamePlacement,
  BarGaugeValueMode,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  TableCellHeight,
  TableSortByFieldState,
  VizLegendOptions,
  VizTextDisplayOptions,
} from '@grafana/schema';
import { BarGauge, BigValue, TimeSeries, VizRepeater, type VizRepeaterRenderValueProps } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import type { JSX } from 'react';

import { TIME_ZONE, type Drawable } from '../panel.ts';
import { displayValues } from '../texts.ts';

export interface Space {
  width: number;
  height: number;
  theme: GrafanaTheme2;
  range: TimeRange;
}

type Chart = (drawable: Drawable, space: Space) => JSX.Element;

/** By the panel's type. Grafana's state timeline is no part of its libraries, so it is not drawn. */
export const CHARTS: Partial<Record<string, Chart>> = {
  stat: drawStat,
  bargauge: drawBars,
  table: drawTable,
  timeseries: drawGraph,
};

export function timeRange(from: number, to: number): TimeRange {
  const range = { from: dateTime(from).utc(), to: dateTime(to).utc() };
  return { ...range, raw: range };
}

type Value = VizRepeaterRenderValueProps<FieldDisplay, DisplayValueAlignmentFactors>;

function drawStat(drawable: Drawable, space: Space): JSX.Element {
  const options = drawable.panel.options ?? {};
  return repeated(drawable, space, 3, ({ value, alignmentFactors, width, height, count }: Value) => (
    <BigValue
      value={value.display}
      count={count}
      sparkline={value.sparkline && { ...value.sparkline, timeRange: space.range }}
      colorMode={options.colorMode as BigValueColorMode}
      graphMode={options.graphMode as BigValueGraphMode}
      justifyMode={options.justifyMode as BigValueJustifyMode}
      textMode={options.textMode as BigValueTextMode}
      text={options.text as VizTextDisplayOptions}
      alignmentFactors={alignmentFactors}
      disableWideLayout={options.wideLayout === false}
      width={width}
      height={height}
      theme={space.theme}
    />
  ));
}

function drawBars(drawable: Drawable, space: Space): JSX.Element {
  const options = drawable.panel.options ?? {};
  return repeated(drawable, space, 10, ({ value, alignmentFactors, orientation, width, height }: Value) => (
    <BarGauge
      value={value.display}
      field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex!)}
      orientation={orientation}
      displayMode={options.displayMode as BarGaugeDisplayMode}
      namePlacement={options.namePlacement as BarGaugeNamePlacement}
      valueDisplayMode={options.valueMode as BarGaugeValueMode}
      text={options.text as VizTextDisplayOptions}
      showUnfilled={options.showUnfilled as boolean}
      itemSpacing={10}
      alignmentFactors={alignmentFactors}
      width={width}
      height={height}
      theme={space.theme}
    />
  ));
}

function repeated(
  drawable: Drawable,
  { width, height, theme }: Space,
  itemSpacing: number,
  renderValue: (value: Value) => JSX.Element,
): JSX.Element {
  const options = drawable.panel.options ?? {};
  return (
    <VizRepeater
      source={drawable.frames}
      getValues={() => displayValues(drawable, theme)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={renderValue}
      orientation={(options.orientation ?? 'auto') as VizOrientation}
      minVizWidth={options.minVizWidth as number}
      minVizHeight={options.minVizHeight as number}
      maxVizHeight={options.maxVizHeight as number}
      autoGrid={drawable.panel.type === 'stat'}
      itemSpacing={itemSpacing}
      renderCounter={0}
      width={width}
      height={height}
    />
  );
}

function drawTable({ panel, fieldConfig, frames }: Drawable, { width, height, range }: Space): JSX.Element {
  const options = panel.options ?? {};
  return (
    <TableNG
      data={frames[0]!}
      fieldConfig={fieldConfig}
      timeRange={range}
      sortBy={options.sortBy as TableSortByFieldState[]}
      cellHeight={options.cellHeight as TableCellHeight}
      noHeader={options.showHeader === false}
      noValue={fieldConfig.defaults.noValue}
      enablePagination={options.enablePagination as boolean}
      width={width}
      height={height}
    />
  );
}

function drawGraph({ panel, frames }: Drawable, { width, height, range }: Space): JSX.Element {
  return (
    <TimeSeries
      frames={frames.filter((frame) => frame.length > 0).map((frame) => withGaps(frame, range))}
      timeRange={range}
      timeZone={TIME_ZONE}
      legend={panel.options?.legend as VizLegendOptions}
      options={panel.options}
      width={width}
      height={height}
    />
  );
}

/** A line breaks where points are missing, and at what is no finite number, as in Grafana's panel. */
function withGaps(frame: DataFrame, range: TimeRange): DataFrame {
  const [refFieldPseudoMin, refFieldPseudoMax] = [range.from.valueOf(), range.to.valueOf()];
  const gapped = nullToValue(applyNullInsertThreshold({ frame, refFieldPseudoMin, refFieldPseudoMax }));
  const fields = gapped.fields.map((field) =>
    field.type === FieldType.number
      ? { ...field, values: field.values.map((value: number | null) => (Number.isFinite(value) ? value : null)) }
      : field,
  );
  return { ...gapped, fields };
}
