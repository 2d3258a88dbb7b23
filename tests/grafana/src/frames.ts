/**
 * Prometheus's answers as data frames, as Grafana's Prometheus data source makes them: one frame a series, named by the
 * legend; one frame a target in the format `table`, with a column a label.
 *
 * That data source is no library: what it does was read in its Go half (promlib: converter and querydata) and its
 * TypeScript half (@grafana/prometheus: result_transformer).
 */
import { FieldType, createDataFrame, sortDataFrame, type DataFrame, type Labels } from '@grafana/data';

import type { Answer, Result, Sample, Target } from './input.ts';

interface Series {
  labels: Labels;
  samples: Sample[];
}

/** The frames of a panel's answers; a target without samples gives one frame without fields, as in Grafana. */
export function framesOf(targets: Target[], answers: Answer[]): DataFrame[] {
  const tables = answers.filter((answer) => targetOf(targets, answer).format === 'table');
  const others = answers.filter((answer) => !tables.includes(answer));
  return [
    ...others.flatMap((answer) => seriesFrames(targetOf(targets, answer), answer)),
    ...tables.map((answer) => tableFrame(answer, tables.length)),
  ];
}

function targetOf(targets: Target[], answer: Answer): Target {
  const target = targets.find((one) => one.refId === answer.refId);
  if (!target) {
    throw new Error(`there is an answer to ${answer.refId}, which is no target of the panel`);
  }
  return target;
}

function seriesFrames(target: Target, answer: Answer): DataFrame[] {
  const series = seriesOf(answer.data);
  if (series.length === 0) {
    return [createDataFrame({ refId: answer.refId, fields: [] })];
  }
  return series.map(({ labels, samples }) =>
    createDataFrame({
      refId: answer.refId,
      meta: { custom: { resultType: answer.data.resultType } },
      fields: [
        timeField(samples, answer.step),
        {
          name: labels.__name__ ?? 'Value',
          type: FieldType.number,
          labels,
          config: { displayNameFromDS: legend(target, labels) },
          values: samples.map(([, value]) => numberOf(value)),
        },
      ],
    }),
  );
}

function tableFrame(answer: Answer, tables: number): DataFrame {
  const series = seriesOf(answer.data);
  if (series.length === 0 && tables === 1) {
    return createDataFrame({ refId: answer.refId, fields: [] });
  }
  const names = new Set(series.flatMap(({ labels }) => Object.keys(labels).sort()));
  const rows = series.flatMap(({ labels, samples }) => samples.map((sample) => ({ labels, sample })));
  const frame = createDataFrame({
    refId: answer.refId,
    meta: { custom: { resultType: answer.data.resultType } },
    fields: [
      timeField(
        rows.map(({ sample }) => sample),
        answer.step,
      ),
      ...Array.from(names, (name) => ({
        name,
        type: FieldType.string,
        config: { filterable: true },
        values: rows.map(({ labels }) => labels[name] ?? ''),
      })),
      {
        name: tables > 1 ? `Value #${answer.refId}` : 'Value',
        type: FieldType.number,
        config: {},
        values: rows.map(({ sample: [, value] }) => numberOf(value)),
      },
    ],
  });
  return sortDataFrame(frame, 0);
}

function seriesOf(data: Result): Series[] {
  return data.resultType === 'vector'
    ? data.result.map(({ metric, value }) => ({ labels: metric, samples: [value] }))
    : data.result.map(({ metric, values }) => ({ labels: metric, samples: values }));
}

function timeField(samples: Sample[], step: number) {
  return {
    name: 'Time',
    type: FieldType.time,
    // The charts break a line where two points are further apart than this.
    config: { interval: step },
    values: samples.map(([seconds]) => seconds * 1000),
  };
}

/** The name of a series: the target's legend with its labels filled in. */
function legend({ refId, legendFormat }: Target, labels: Labels): string {
  if (!legendFormat || legendFormat === '__auto') {
    throw new Error(`${refId} has no legend: Grafana would show the labels of its series as they are`);
  }
  return legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name: string) => labels[name] ?? '');
}

function numberOf(text: string): number {
  const infinity = /^([+-]?)Inf$/.exec(text);
  return infinity ? (infinity[1] === '-' ? -Infinity : Infinity) : Number.parseFloat(text);
}
