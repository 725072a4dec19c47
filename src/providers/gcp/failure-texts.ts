/** What each kind of failure says to a person, and what it leaves to try. Pure. */
import type { ErrorCode } from '../../core/errors.ts';
import { explainDenied } from './failure-denied.ts';
import type { FailureKind } from './failure-kinds.ts';
import { explainQuota } from './failure-quota.ts';
import type { Signal, Signals } from './failure-signals.ts';
import { at, atRegion, type Explained, type Place, said, whatOf } from './failure-words.ts';

export function explain(kind: FailureKind, signal: Signal, signals: Signals, place: Place): Explained {
  switch (kind) {
    case 'no-answer':
      return {
        code: 'connection',
        message: `${signals.status === null ? 'No answer came' : `Google answered with an error of its own (${signals.status})`}: ${said(signal)}`,
        hints: ['https://status.cloud.google.com   says whether others have it too'],
        retry: 'elsewhere',
        certain: false,
      };
    case 'api-rate':
      return busy(signals, 'quota', 'Too many calls of the Compute Engine API a minute', signal, 'provider', { firstMs: 2_000, atMostMs: 120_000 });
    case 'too-many-operations':
      return busy(signals, 'quota', `Google carries out too many operations${at(place)} already`, signal, 'zone', { firstMs: 20_000, atMostMs: 60_000 });
    case 'not-ready':
      return busy(signals, 'conflict', `Something that is needed${at(place)} is not ready yet`, signal, 'zone', { firstMs: 2_000, atMostMs: 120_000 });
    case 'race':
      return busy(signals, 'conflict', 'Somebody else has changed the same thing just now', signal, 'nothing', { firstMs: 500, atMostMs: 20_000 });
    case 'quota-everywhere':
    case 'quota':
      return explainQuota(kind, signal, place);
    case 'no-stock-in-region':
      return noStock(signal, place, 'region');
    case 'no-stock':
      return noStock(signal, place, 'nothing'); // of this type alone: the same zone may have another one with these GPUs
    case 'taken-back':
      return takenBack(signal, place);
    case 'no-such-type':
      return {
        code: 'no-capacity',
        message: `There is no ${whatOf(place)}${at(place)}: ${said(signal)}`,
        retry: 'elsewhere',
        elsewhere: { rulesOut: 'nothing' }, // of this type alone: another may be there
        certain: true,
      };
    case 'vanished':
      return {
        code: 'no-capacity',
        message: `The ${whatOf(place)}${at(place)} vanished as soon as it was made: ${said(signal)}`,
        retry: 'elsewhere',
        elsewhere: { rulesOut: 'zone' },
        certain: false, // it was seen to exist all the same
      };
    case 'no-such-subnetwork':
      return {
        code: 'not-found',
        message: `There is no such subnetwork${atRegion(place)}: ${said(signal)}`,
        hints: ['Name the network of your machines in gpu-run.yaml: gcp: { network: NAME, subnetwork: NAME }'],
        retry: 'elsewhere',
        elsewhere: { rulesOut: 'region' },
        certain: true,
      };
    case 'not-found':
      return {
        code: 'not-found',
        message: `Google does not find something that is needed: ${said(signal)}`,
        hints: ['Look at image, network, subnetwork and project in the gcp block of gpu-run.yaml.'],
        certain: true,
      };
    case 'name-taken':
      return {
        code: 'conflict',
        message: `There is a machine of that name${at(place)} already: ${said(signal)}`,
        retry: 'elsewhere', // with another name
        certain: true, // what is there is not of this order
      };
    case 'invalid':
      return {
        code: 'bad-input',
        message: `Google refuses the order for ${whatOf(place)}${at(place)} as invalid: ${said(signal)}`,
        hints: ['Look at the gcp block and at `disk` in gpu-run.yaml or the template. If none of it explains this, it is a bug in gpu-run: please report it.'],
        certain: true,
      };
    case 'unknown':
      return {
        code: 'protocol',
        message: `Google could not make ${whatOf(place)}${at(place)}, for a reason that gpu-run does not know: ${said(signal)}`,
        retry: 'elsewhere',
        certain: false,
      };
    default:
      return explainDenied(kind, signal, place);
  }
}

function noStock(signal: Signal, place: Place, scope: 'nothing' | 'region'): Explained {
  return {
    code: 'no-capacity',
    message: `Google has no ${whatOf(place)}${scope === 'region' ? atRegion(place) : at(place)} now (${signal.codes[0] ?? 'out of stock'}).`,
    hints: [place.spot === true ? 'Try later, without --spot, in more regions, or with another --gpu.' : 'Try later, in more regions, or with another --gpu.'],
    retry: 'elsewhere',
    elsewhere: { rulesOut: scope, betterZones: zonesIn(signal) },
    certain: true,
  };
}

/** Seen by others on Spot machines that were preempted while they were created; not documented. */
function takenBack(signal: Signal, place: Place): Explained {
  if (place.spot !== true) return explain('unknown', signal, { status: null, from: 'operation', all: [signal], retryAfterMs: null }, place);
  return {
    code: 'no-capacity',
    message: `Google took the ${whatOf(place)}${at(place)} back while it was being made (${signal.codes[0]}).`,
    hints: ['Try later, without --spot, in more regions, or with another --gpu.'],
    retry: 'elsewhere',
    elsewhere: { rulesOut: 'zone' },
    certain: false,
  };
}

function busy(
  { retryAfterMs }: Signals,
  code: ErrorCode,
  what: string,
  signal: Signal,
  rulesOut: 'nothing' | 'zone' | 'provider',
  backOff: { readonly firstMs: number; readonly atMostMs: number },
): Explained {
  return {
    code,
    message: `${what}: ${said(signal)}`,
    hints: ['Try again in a few minutes.'],
    retry: 'same',
    elsewhere: { rulesOut },
    backOff: { firstMs: Math.max(backOff.firstMs, retryAfterMs ?? 0), atMostMs: backOff.atMostMs },
    certain: true,
  };
}

/** `zonesAvailable` is what Compute Engine has been seen to send, `zonesWithCapacity` what Google's AIP-193 shows. */
function zonesIn({ metadata }: Signal): readonly string[] {
  const listed = `${metadata['zonesWithCapacity'] ?? ''},${metadata['zonesAvailable'] ?? ''}`.split(/[\s,]+/);
  return [...new Set(listed.filter((zone) => /^[a-z]+-[a-z]+\d+-[a-z0-9]+$/.test(zone)))];
}
