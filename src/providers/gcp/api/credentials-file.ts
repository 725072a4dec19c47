/**
 * Which credentials are used, in the order of Google's Application Default Credentials, but without the metadata server (a laptop has
 * none, and a probe of it can hang) and without asking gcloud: a file that the config names, `GOOGLE_APPLICATION_CREDENTIALS`, the
 * file of `gcloud auth application-default login`. Source: Google's documentation of Application Default Credentials.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { GpuRunError, systemErrorCode } from '../../../core/errors.ts';

/** The caller's environment; upper-case names. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface CredentialsFile {
  readonly path: string;
  /** Who named the path: `gcp.credentials-file`, a variable, or gcloud. For messages. */
  readonly namedBy: string;
  /** As it stands in the file: hold it no longer than needed, show none of it but `type` and `client_email`. */
  readonly content: Readonly<Record<string, unknown>>;
}

export const loginHint = 'On a laptop: gcloud auth application-default login';
const fileHint =
  'In CI: set GOOGLE_APPLICATION_CREDENTIALS to the file of Workload Identity Federation or of a service account, or gcp.credentials-file in the config.';

const variable = 'GOOGLE_APPLICATION_CREDENTIALS';

/** `configured`: absolute path; null: the config names none. @throws GpuRunError `not-allowed`: none there, or not readable, or no JSON */
export function readCredentialsFile(configured: string | null, env: Environment, platform: NodeJS.Platform): CredentialsFile {
  if (configured !== null) return read(configured, 'gcp.credentials-file');
  const fromEnvironment = env[variable];
  if (fromEnvironment !== undefined && fromEnvironment !== '') return read(resolve(fromEnvironment), variable);
  const ofGcloud = gcloudFile(env, platform);
  try {
    if (ofGcloud !== null) return read(ofGcloud, 'gcloud');
  } catch (thrown) {
    if (!(thrown instanceof GpuRunError && systemErrorCode(thrown.cause) === 'ENOENT')) throw thrown;
  }
  throw new GpuRunError(
    'not-allowed',
    `There are no Google credentials: the config has no gcp.credentials-file, ${variable} is not set, and ${
      ofGcloud === null ? 'the home folder is not known' : `${ofGcloud} does not exist`
    }.`,
    { hints: [loginHint, fileHint] },
  );
}

/** gcloud's own rule: CLOUDSDK_CONFIG, else a folder below the home folder. */
function gcloudFile(env: Environment, platform: NodeJS.Platform): string | null {
  const folder = env['CLOUDSDK_CONFIG'] || inFolder(platform === 'win32' ? [env['APPDATA'], 'gcloud'] : [env['HOME'], '.config', 'gcloud']);
  return folder === null ? null : join(folder, 'application_default_credentials.json');
}

function inFolder([first, ...rest]: readonly (string | undefined)[]): string | null {
  return first === undefined || first === '' ? null : join(first, ...rest.filter((name) => name !== undefined));
}

function read(path: string, namedBy: string): CredentialsFile {
  const bad = (why: string, cause?: unknown): GpuRunError =>
    new GpuRunError('not-allowed', `The Google credentials in ${path} (named by ${namedBy}) can't be used: ${why}.`, { hints: [loginHint, fileHint], cause });
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw bad(systemErrorCode(thrown) === 'ENOENT' ? 'there is no such file' : `the file can't be read (${systemErrorCode(thrown) ?? 'unknown'})`, thrown);
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw bad('it is not JSON'); // without the parser's words: they quote the file
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) throw bad('it is not a JSON object');
  return { path, namedBy, content: content as Readonly<Record<string, unknown>> };
}

const projectVariables = ['GOOGLE_CLOUD_PROJECT', 'GCLOUD_PROJECT', 'CLOUDSDK_CORE_PROJECT'] as const;

const projectId = /^([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]$/;

/**
 * Config, then GOOGLE_CLOUD_PROJECT, GCLOUD_PROJECT, CLOUDSDK_CORE_PROJECT, then the credentials.
 * @throws GpuRunError `bad-input`: none of them has one, or it is no project id
 */
export function projectOf(configured: string | null, env: Environment, { content, path }: CredentialsFile): string {
  const sources: readonly (readonly [string, unknown])[] = [
    ['gcp.project', configured],
    ...projectVariables.map((name) => [name, env[name]] as const),
    [`project_id in ${path}`, content['project_id']],
    [`quota_project_id in ${path}`, content['quota_project_id']],
  ];
  const hints = ['Set gcp.project in gpu-run.yaml, or GOOGLE_CLOUD_PROJECT.', 'gcloud projects list shows the ids.'];
  for (const [source, value] of sources) {
    if (typeof value !== 'string' || value === '') continue;
    if (projectId.test(value)) return value;
    throw new GpuRunError('bad-input', `${source} is no project id (6 to 30 lower-case letters, digits and hyphens; not the project's name or number).`, {
      hints,
    });
  }
  throw new GpuRunError('bad-input', `It is not known in which Google Cloud project to rent: ${sources.map(([source]) => source).join(', ')} have none.`, {
    hints,
  });
}

/** Whether the environment names a project, a good name or not. */
export function namesProject(env: Environment): boolean {
  return projectVariables.some((name) => (env[name] ?? '') !== '');
}

/** Whether somebody has set up credentials at all, good ones or not. */
export function namesCredentials(configured: string | null, env: Environment, platform: NodeJS.Platform): boolean {
  const fromEnvironment = env[variable];
  if (configured !== null || (fromEnvironment !== undefined && fromEnvironment !== '')) return true;
  const ofGcloud = gcloudFile(env, platform);
  return ofGcloud !== null && existsSync(ofGcloud);
}

/** E-mail address of the account; null: the file does not say. */
export function accountOf({ content }: CredentialsFile): string | null {
  const impersonated = /\/serviceAccounts\/([^/:]+@[^/:]+):generateAccessToken$/.exec(String(content['service_account_impersonation_url'] ?? ''));
  const named = impersonated?.[1] ?? content['client_email'] ?? content['account'];
  return typeof named === 'string' && /^[^\s@]+@[^\s@]+$/.test(named) ? named : null;
}
