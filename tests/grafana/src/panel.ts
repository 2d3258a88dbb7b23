/** A panel's data as its visualization gets it: transformed, with units, thresholds, mappings and overrides applied. */
import {
  FieldConfigOptionsRegistry,
  applyFieldOverrides,
  identityOverrideProcessor,
  locationUtil,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  transformDataFrame,
  type DataFrame,
  type DataTransformerConfig,
  type FieldConfigPropertyItem,
  type FieldConfigSource,
  type GrafanaConfig,
  type GrafanaTheme2,
  type InterpolateFunction,
  type TransformerRegistryItem,
} from '@grafana/data';
import type { Panel } from '@grafana/schema';
import { lastValueFrom } from 'rxjs';

import { framesOf } from './frames.ts';
import type { Input, PanelInput, Target } from './input.ts';
import { interpolation } from './variables.ts';

/** All times are shown so, wherever the tests run. */
export const TIME_ZONE = 'utc';

export interface Drawable {
  panel: Panel;
  fieldConfig: FieldConfigSource;
  frames: DataFrame[];
  replaceVariables: InterpolateFunction;
}

/** Prepare every panel of the input for a theme. */
export async function drawables(input: Input, theme: GrafanaTheme2): Promise<Drawable[]> {
  const replaceVariables = interpolation(input);
  locationUtil.initialize({
    config: { appSubUrl: '' } as GrafanaConfig, // of all of it, links need this alone
    getTimeRangeForUrl: () => ({ from: String(input.from), to: String(input.to) }),
    getVariablesUrlParams: () => ({}),
  });
  return Promise.all(input.panels.map((one) => drawable(one, theme, replaceVariables)));
}

async function drawable(
  { panel, answers }: PanelInput,
  theme: GrafanaTheme2,
  replaceVariables: InterpolateFunction,
): Promise<Drawable> {
  const fieldConfig = fieldConfigOf(panel);
  const frames = framesOf((panel.targets ?? []) as unknown as Target[], answers);
  const transformed = await lastValueFrom(
    transformDataFrame((panel.transformations ?? []) as DataTransformerConfig[], frames, {
      interpolate: replaceVariables,
    }),
  );
  const overridden = applyFieldOverrides({
    data: transformed,
    fieldConfig,
    fieldConfigRegistry: propertiesOf(fieldConfig),
    replaceVariables,
    theme,
    timeZone: TIME_ZONE,
  });
  return { panel, fieldConfig, frames: overridden, replaceVariables };
}

function fieldConfigOf(panel: Panel): FieldConfigSource {
  const { defaults, overrides } = structuredClone(panel.fieldConfig ?? { defaults: {}, overrides: [] });
  // JSON has no -Infinity: the base of thresholds is written as null, which Grafana replaces when it loads a panel.
  const sources = [defaults.thresholds, ...overrides.flatMap(({ properties }) => properties.map(({ value }) => value))];
  for (const source of sources as { steps?: { value: number | null }[] }[]) {
    const base = source?.steps?.[0];
    if (base) {
      base.value ??= -Infinity;
    }
  }
  return { defaults, overrides } as FieldConfigSource;
}

const STANDARD: Record<string, FieldConfigPropertyItem['process']> = {
  actions: identityOverrideProcessor,
  color: identityOverrideProcessor,
  decimals: identityOverrideProcessor,
  description: identityOverrideProcessor,
  displayName: stringOverrideProcessor,
  fieldMinMax: identityOverrideProcessor,
  filterable: identityOverrideProcessor,
  links: identityOverrideProcessor,
  mappings: identityOverrideProcessor,
  max: identityOverrideProcessor,
  min: identityOverrideProcessor,
  noValue: identityOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  unit: identityOverrideProcessor,
};

/**
 * The properties that field configurations may set. Grafana registers the standard ones, and each panel its own, which
 * are `custom.*`; neither is in a library. That a panel has such a property at all is what the type check says.
 */
function propertiesOf({ defaults, overrides }: FieldConfigSource): FieldConfigOptionsRegistry {
  const overridden = overrides.flatMap(({ properties }) => properties.map(({ id }) => id));
  const custom = [...Object.keys(defaults.custom ?? {}), ...overridden.filter(isCustom).map(withoutPrefix)];
  return new FieldConfigOptionsRegistry(() => [
    ...Object.entries(STANDARD).map(([id, process]) => property(id, id, process)),
    ...Array.from(new Set(custom), (path) => property(`custom.${path}`, path, identityOverrideProcessor)),
  ]);
}

const isCustom = (id: string) => id.startsWith('custom.');
const withoutPrefix = (id: string) => id.slice('custom.'.length);

function property(id: string, path: string, process: FieldConfigPropertyItem['process']): FieldConfigPropertyItem {
  const nothing = () => null; // in the place of the editor: nobody edits here
  return {
    id,
    path,
    name: id,
    process,
    isCustom: isCustom(id),
    shouldApply: () => true,
    settings: id === 'displayName' ? { expandTemplateVars: true } : {},
    editor: nothing,
    override: nothing,
  };
}

standardTransformersRegistry.setInit(() =>
  // One of them goes by two names.
  Array.from(
    new Set(Object.values(standardTransformers)),
    (info): TransformerRegistryItem => ({
      id: info.id,
      name: info.name,
      transformation: async () => info,
      editor: () => null,
      imageDark: '',
      imageLight: '',
    }),
  ),
);

/** The transformations of a panel that Grafana's library does not have: it passes over them without a word. */
export function unknownTransformations(panel: Panel): string[] {
  return (panel.transformations ?? [])
    .map(({ id }) => id)
    .filter((id) => !standardTransformersRegistry.getIfExists(id));
}
