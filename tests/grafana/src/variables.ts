/** The dashboard's variables in names, transformations and links, filled in as Grafana's template service does. */
import type { InterpolateFunction, ScopedVars } from '@grafana/data';

import type { Input } from './input.ts';

// ${name}, ${name.path}, either with :format, and $name; but not $1, which is a regular expression's.
const VARIABLE = /\$\{(\w+)(?:\.(\w+))?(?::(\w+))?\}|\$([a-z_]\w*)/gi;

/** Return what fills in a text's variables; it throws at one that the dashboard does not have. */
export function interpolation(input: Input): InterpolateFunction {
  return (text, scopedVars) =>
    text.replace(VARIABLE, (whole, braced?: string, path?: string, format?: string, bare?: string) => {
      const name = braced ?? bare ?? '';
      if (name === '__url_time_range') {
        return `from=${input.from}&to=${input.to}`;
      }
      const values = name === '__value' && path === 'raw' ? [cellValue(scopedVars)] : input.variables[name];
      if (!values) {
        throw new Error(`${whole} is no variable: ${text}`);
      }
      return formatted(name, values, format);
    });
}

/** The value of the cell in which a link stands. */
function cellValue(scopedVars: ScopedVars | undefined): string {
  const context = scopedVars?.__dataContext?.value;
  if (context?.rowIndex === undefined) {
    throw new Error('a value stands where there is none');
  }
  return String(context.field.values[context.rowIndex]);
}

function formatted(name: string, values: string[], format: string | undefined): string {
  switch (format) {
    case undefined:
      return values.join(',');
    case 'percentencode':
      return encodeURIComponent(values.join(','));
    case 'queryparam':
      return values.map((value) => `var-${name}=${encodeURIComponent(value)}`).join('&');
    default:
      throw new Error(`the format ${format} is not known here`);
  }
}
