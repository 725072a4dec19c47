/** Templates: recipes for machines, from the project, the user and this package, in this order. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GpuRunError, systemErrorCode } from '../core/errors.ts';
import type { Layer } from './layer.ts';
import { nearest } from './nearest.ts';
import { lineOf, type Problem, textOf, throwProblems } from './problem.ts';

/** Where to look. */
export interface TemplatePlaces {
  /** The project's folder: its templates are in `gpu-run/templates`. */
  readonly folder: string;
  /** The user's home folder: their templates are in `.config/gpu-run/templates`. */
  readonly userHome: string;
}

export interface TemplateInfo {
  readonly name: string;
  readonly source: 'project' | 'user' | 'built-in';
  /** Absolute path. */
  readonly file: string;
  /** One sentence; null when the file is not in order. */
  readonly description: string | null;
  readonly providers: readonly string[];
  /** What is wrong with the file; null: nothing. */
  readonly problem: string | null;
}

type TemplateFile = Pick<TemplateInfo, 'name' | 'source' | 'file'>;

/** All of them by name, the ones that are not in order too. A name that stands in several places counts once, where it comes first. */
export async function listTemplates(places: TemplatePlaces): Promise<TemplateInfo[]> {
  return Promise.all(findTemplates(places).map((template) => inform(template, places)));
}

/** What the template says. @throws GpuRunError not-found with the nearest name, bad-input with everything that is wrong with the file */
export async function loadTemplate(name: string, places: TemplatePlaces): Promise<Layer> {
  const known = findTemplates(places);
  const template = known.find((candidate) => candidate.name === name);
  if (template === undefined) throw notFound(name, known);
  const { layer, problems } = await readTemplate(template, places);
  throwProblems(problems);
  return layer;
}

function findTemplates({ folder, userHome }: TemplatePlaces): TemplateFile[] {
  const all = [
    ...templatesIn(join(folder, 'gpu-run', 'templates'), 'project'),
    ...templatesIn(join(userHome, '.config', 'gpu-run', 'templates'), 'user'),
    ...templatesIn(join(packageFolder(), 'templates'), 'built-in'),
  ];
  return [...Map.groupBy(all, ({ name }) => name).values()].flatMap(([first]) => first ?? []).sort((a, b) => a.name.localeCompare(b.name));
}

function templatesIn(folder: string, source: TemplateInfo['source']): TemplateFile[] {
  return namesIn(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => ({ name: file.slice(0, -'.yaml'.length), source, file: join(folder, file) }));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new GpuRunError('bad-input', `The templates in ${folder} can't be read: ${error instanceof Error ? error.message : String(error)}.`, {
      cause: error,
    });
  }
}

async function readTemplate(
  { file }: TemplateFile,
  { userHome }: TemplatePlaces,
): Promise<{ readonly description: string | null; readonly layer: Layer; readonly problems: readonly Problem[] }> {
  const [{ readTemplateFile }, { layerOfTemplate }] = await Promise.all([import('./checked-file.ts'), import('./config-layer.ts')]);
  const { value, problems } = await readTemplateFile(file, file, { folder: dirname(file), userHome });
  return value === null ? { description: null, layer: {}, problems } : { description: value.description, layer: layerOfTemplate(value), problems };
}

async function inform(template: TemplateFile, places: TemplatePlaces): Promise<TemplateInfo> {
  try {
    const { description, layer, problems } = await readTemplate(template, places);
    const problem = problems.length === 0 ? null : problems.map(lineOf).join('\n');
    return { ...template, description, providers: layer.providers ?? [], problem };
  } catch (error) {
    return { ...template, description: null, providers: [], problem: textOf(error) };
  }
}

function notFound(name: string, known: readonly TemplateFile[]): GpuRunError {
  const names = known.map((template) => template.name);
  const guess = nearest(name, names);
  return new GpuRunError('not-found', `There is no template '${name}'.`, {
    hints: [...(guess === null ? [] : [`Did you mean '${guess}'?`]), `The templates are: ${names.join(', ')}. gpu-run templates   shows them.`],
  });
}

/** The nearest folder above that is a package: the same from the sources and from the bundle. */
function packageFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}
