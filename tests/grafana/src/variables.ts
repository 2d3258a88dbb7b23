/** The dashboard's variables in titles, names and links, filled in as Grafana's template service does. */
import {
  getFieldDisplayName,
  type DataContextScopedVar,
  type InterpolateFunction,
  type ScopedVars,
} from '@grafana/data';

import type { Input } from './input.ts';

const VARIABLE = /\$\{(\w+)(?:\.([^}:]+))?(?::(\w+))?\}|\$(\w+)/g;

/** Return what replaces the variables of a text; it throws where there is no such variable. */
export function interpolation(input: Pick<Input, 'from' | 'to' | 'variables'>): InterpolateFunction {
  return (text, scopedVars) =>
    text.replace(VARIABLE, (whole, braced?: string, path?: string, format?: string, bare?: string) => {
      const name = braced ?? bare ?? '';
      if (name === '__url_time_range') {
        return `from=${input.from}&to=${input.to}`;
      }
      if (name === '__all_variables') {
        return Object.entries(input.variables).map(([each, values]) => query(each, values)).join('&');
      }
      if (name === '__data' || name === '__field' || name === '__value') {
        return ofData(whole, name, path ?? '', scopedVars);
      }
      const scoped = scopedVars?.[name];
      if (scoped) {
        return String(scoped.value);
      }
      const values = input.variables[name];
      if (!values) {
        throw new Error(`${whole} is no variable of the dashboard: ${text}`);
      }
      return format === 'queryparam' ? query(name, values) : values.join(',');
    });
}

function query(name: string, values: string[]): string {
  return values.map((value) => `var-${name}=${encodeURIComponent(value)}`).join('&');
}

function ofData(whole: string, name: string, path: string, scopedVars: ScopedVars | undefined): string {
  const context = (scopedVars?.__dataContext as DataContextScopedVar | undefined)?.value;
  if (!context) {
    throw new Error(`${whole} stands where there is no data`);
  }
  const { frame, field, rowIndex, data, calculatedValue } = context;
  const label = /^labels(?:\.|\[")(.+?)(?:"\])?$/.exec(path);
  if (name === '__field' && label) {
    return field.labels?.[label[1]!] ?? '';
  }
  if (name === '__field' && path === 'name') {
    return getFieldDisplayName(field, frame, data);
  }
  const column = /^fields(?:\.|\[["']?)(.+?)(?:["']?\])?(?:\.(?:text|numeric))?$/.exec(path);
  if (name === '__data' && column && rowIndex !== undefined) {
    const wanted = column[1]!;
    const found = frame.fields.find((one) => one.name === wanted || getFieldDisplayName(one, frame, data) === wanted);
    if (!found) {
      throw new Error(`${whole} names no column: ${frame.fields.map((one) => one.name).join(', ')}`);
    }
    return String(found.values[rowIndex]);
  }
  if (name === '__value') {
    const value: unknown = rowIndex === undefined ? calculatedValue?.numeric : field.values[rowIndex];
    return path === 'text' ? (field.display?.(value).text ?? '') : String(value);
  }
  throw new Error(`${whole} is not understood here`);
}
