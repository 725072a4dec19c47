/** Where metrics go for MLflow. Credentials come from the environment of gpu-run, and never reach a machine. */
import { GpuRunError } from '../core/errors.ts';

/** As the config says it; what it leaves out comes from the environment. */
export interface MlflowSettings {
  readonly trackingUri?: string | undefined;
  readonly experiment?: string | undefined;
}

export interface MlflowTarget {
  /** Without a trailing slash. */
  readonly trackingUri: string;
  readonly experiment: string;
  /** The value of the Authorization header; a secret. */
  readonly authorization: string | null;
}

/**
 * null: the config has no `mlflow` block. The variables are MLflow's own: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME,
 * MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. @throws GpuRunError bad-input
 */
export function readMlflow(settings: MlflowSettings | null, env: Readonly<Record<string, string | undefined>>): MlflowTarget | null {
  if (settings === null) return null;
  const said = settings.trackingUri ?? given(env, 'MLFLOW_TRACKING_URI');
  if (said === undefined) {
    throw new GpuRunError('bad-input', 'There is an mlflow block, but nothing says where the tracking server is.', {
      hints: ['Write mlflow: { tracking-uri: http://mlflow.example.org:5000 }, or set MLFLOW_TRACKING_URI.'],
    });
  }
  return {
    trackingUri: checkTrackingUri(said),
    experiment: settings.experiment ?? given(env, 'MLFLOW_EXPERIMENT_NAME') ?? 'Default',
    authorization: authorizationOf(env),
  };
}

/** An http or https address without credentials in it. @throws GpuRunError bad-input */
export function checkTrackingUri(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new GpuRunError('bad-input', `'${text.replace(/\/\/[^@/]*@/, '//...@').slice(0, 100)}' is not the address of an MLflow server.`, {
      hints: ['Write an http or https address, as in http://mlflow.example.org:5000; folders and databases can only be written where they are.'],
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new GpuRunError('bad-input', "MLflow's address holds a user name or a password.", {
      hints: ['Take them out, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment of gpu-run.'],
    });
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** As MLflow's own client decides: user and password go before a token. */
function authorizationOf(env: Readonly<Record<string, string | undefined>>): string | null {
  const [user, password, token] = [given(env, 'MLFLOW_TRACKING_USERNAME'), given(env, 'MLFLOW_TRACKING_PASSWORD'), given(env, 'MLFLOW_TRACKING_TOKEN')];
  if (user !== undefined && password !== undefined) return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return token === undefined ? null : `Bearer ${token}`;
}

/** An empty variable counts as not set. */
function given(env: Readonly<Record<string, string | undefined>>, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}
