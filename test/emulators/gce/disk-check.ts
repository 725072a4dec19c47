/** The rules of `disks`, and where images are found. */
import { badRequest, invalidValue, notFound } from './api-error.ts';
import type { MachineTypeRow } from './catalogue.ts';
import type { ImageRow } from './catalogue-data.ts';
import { zonal } from './resource-url.ts';
import type { World } from './world.ts';

export interface DiskOrder {
  readonly name: string;
  readonly sizeGb: number;
  readonly type: string;
  readonly autoDelete: boolean;
  readonly labels: Readonly<Record<string, string>>;
}

interface DiskBody {
  readonly boot?: boolean;
  readonly autoDelete?: boolean;
  readonly type?: string;
  readonly source?: string;
  readonly initializeParams?: {
    readonly sourceImage?: string;
    readonly diskName?: string;
    readonly diskSizeGb?: string | number;
    readonly diskType?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

const persistentTypes = ['pd-standard', 'pd-balanced', 'pd-ssd'];

export function checkDisks(
  world: World,
  zone: string,
  instanceName: string,
  type: MachineTypeRow,
  value: unknown,
): { readonly image: ImageRow; readonly bootDisk: DiskOrder } {
  const disks = (value ?? []) as readonly DiskBody[];
  const [boot] = disks;
  if (boot === undefined) throw badRequest("Invalid value for field 'resource.disks': ''. No disks are specified.", 'invalid');
  if (boot.boot !== true || disks.filter((disk) => disk.boot === true).length !== 1)
    throw badRequest('Boot disk must be the first disk attached to the instance.', 'invalid');
  for (const scratch of disks.slice(1)) checkScratch(world, zone, type, scratch);
  const params = boot.initializeParams ?? {};
  const image = imageOf(world, params.sourceImage);
  const sizeGb = params.diskSizeGb === undefined ? image.diskSizeGb : Number(params.diskSizeGb);
  if (sizeGb < image.diskSizeGb) {
    const why = `Requested disk size cannot be smaller than the image size (${image.diskSizeGb} GB)`;
    throw invalidValue('resource.disks[0].initializeParams.diskSizeGb', sizeGb, why);
  }
  const diskType = params.diskType === undefined ? 'pd-standard' : zonal(world, zone, 'diskTypes', params.diskType);
  if (diskType === null) throw invalidValue('resource.disks[0].initializeParams.diskType', params.diskType, 'The URL is malformed.');
  const fitting = /^(a3-ultra|a4|g4)/.test(type.name) ? ['hyperdisk-balanced'] : persistentTypes;
  if (!fitting.includes(diskType)) throw badRequest(`[${type.name}, ${diskType}] features are not compatible for creating instance.`);
  const name = params.diskName ?? instanceName;
  return { image, bootDisk: { name, sizeGb, type: diskType, autoDelete: boot.autoDelete ?? false, labels: params.labels ?? {} } };
}

/** Local SSD is bundled with some types, may be added to others. */
function checkScratch(world: World, zone: string, type: MachineTypeRow, disk: DiskBody): void {
  if (disk.type !== 'SCRATCH') throw badRequest('The emulator knows no further disks than local SSD (SCRATCH).');
  const name = zonal(world, zone, 'diskTypes', disk.initializeParams?.diskType ?? '');
  if (name !== 'local-ssd')
    throw invalidValue('resource.disks.initializeParams.diskType', disk.initializeParams?.diskType, 'Scratch disks are of type local-ssd.');
  if (/^(e2|a3|a4|g4|a2-ultra)/.test(type.name)) throw badRequest(`[${type.name}, local-ssd] features are not compatible for creating instance.`);
}

/** `projects/P/global/images/NAME`, `projects/P/global/images/family/FAMILY`, with or without the origin. */
function imageOf(world: World, url = ''): ImageRow {
  const found = /^(?:https:\/\/(?:www|compute)\.googleapis\.com\/compute\/v1\/)?projects\/([^/]+)\/global\/images\/(family\/)?([^/]+)$/.exec(url);
  if (found === null) throw invalidValue('resource.disks[0].initializeParams.sourceImage', url, 'The URL is malformed.');
  const [, project = '', family, name = ''] = found;
  const row = family === undefined ? world.catalogue.image(project, name) : world.catalogue.imageOfFamily(project, name);
  if (row === null) throw notFound(`projects/${project}/global/images/${family ?? ''}${name}`);
  return row;
}
