/** The commands by name; oclif reads this map. `:` stands for the space in `templates show`. */
import Cancel from './commands/cancel.ts';
import Cost from './commands/cost.ts';
import Doctor from './commands/doctor.ts';
import Down from './commands/down.ts';
import Extend from './commands/extend.ts';
import Forward from './commands/forward.ts';
import Init from './commands/init.ts';
import Link from './commands/link.ts';
import Logs from './commands/logs.ts';
import Offers from './commands/offers.ts';
import Pull from './commands/pull.ts';
import Reap from './commands/reap.ts';
import Report from './commands/report.ts';
import Ssh from './commands/ssh.ts';
import Status from './commands/status.ts';
import Sync from './commands/sync.ts';
import TemplatesShow from './commands/templates/show.ts';
import Templates from './commands/templates.ts';
import Top from './commands/top.ts';
import Train from './commands/train.ts';
import Tunnel from './commands/tunnel.ts';
import Up from './commands/up.ts';

export const commands = {
  cancel: Cancel,
  cost: Cost,
  doctor: Doctor,
  down: Down,
  extend: Extend,
  forward: Forward,
  init: Init,
  link: Link,
  logs: Logs,
  offers: Offers,
  pull: Pull,
  reap: Reap,
  report: Report,
  ssh: Ssh,
  status: Status,
  sync: Sync,
  templates: Templates,
  'templates:show': TemplatesShow,
  top: Top,
  train: Train,
  tunnel: Tunnel,
  up: Up,
};
