import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createStyle } from '../../../src/cli/render/style.ts';
import { renderSyncPreview, syncPreviewDocument } from '../../../src/cli/render/sync-preview.ts';
import type { SyncPreview } from '../../../src/workflows/preview-sync.ts';
import { createPlace } from './call.ts';

const view = { style: createStyle(false), now: 0, width: 80 };
const source = { source: 'code', from: '/work/cats', files: 3, bytes: 3_000, planned: [], gone: [], skipped: [], warnings: [] };
const preview = (parts: Partial<SyncPreview['sources'][0]>): SyncPreview => ({ machine: 'cats', sources: [{ ...source, ...parts }], fetch: [], surprises: [] });

test('what would be sent, deleted and skipped, each with its reason', () => {
  const text = renderSyncPreview(
    'cats',
    preview({
      planned: [
        { path: 'a.py', kind: 'file', bytes: 10, how: 'new', reused: false },
        { path: 'big\u001b.bin', kind: 'file', bytes: 2_000, how: 'changed', reused: false },
        { path: 'moved', kind: 'file', bytes: 7, how: 'new', reused: true },
        { path: 'timed', kind: 'file', bytes: 5, how: 'touch', reused: false },
        { path: 'runs/x', kind: 'file', bytes: 5, how: 'leave', reused: false },
      ],
      gone: [{ path: 'old', how: 'delete' }],
      skipped: [
        {
          path: 'node_modules',
          kind: 'folder',
          files: 2,
          bytes: 20,
          atLeast: true,
          reason: { kind: 'pattern', file: '/work/.gitignore', line: 3, pattern: 'node_modules/' },
        },
        { path: 'x.log', kind: 'file', files: 1, bytes: 30, atLeast: false, reason: { kind: 'pattern', file: null, line: 1, pattern: '*.log' } },
        { path: '.git', kind: 'folder', files: 9, bytes: 90, atLeast: false, reason: { kind: 'built-in', text: 'never' } },
      ],
    }),
    view,
  );
  expect(text).toBe(
    [
      "A sync to 'cats' would",
      '',
      'send 2 of 3 files, 2KB of 3KB',
      '  changed  2KB  big\\e.bin',
      '  new      10B  a.py',
      'take from what the machine has already, under other names',
      '  moved',
      'set mode or time of 1 file',
      '  timed',
      'delete on the machine, where earlier syncs placed it',
      '  old',
      'leave alone on the machine, as outputs of its jobs',
      '  runs/x',
      'skip 12 files, 140B',
      '  .git/           9 files   90B  never',
      '  x.log                     30B  sync.exclude: *.log',
      '  node_modules/  2 files+  20B+  ../.gitignore:3: node_modules/',
      '',
      'Nothing was sent or changed.',
    ].join('\n'),
  );
});

test('long lists are cut, with the biggest first; the document holds all', () => {
  const planned = Array.from({ length: 40 }, (_, index) => ({ path: `f${index}`, kind: 'file' as const, bytes: index, how: 'new' as const, reused: false }));
  const text = renderSyncPreview('cats', preview({ planned, files: 40, bytes: 780 }), view);
  expect(text).toContain('send 40 files, 780B\n  new  39B  f39\n');
  expect(text).toContain('and 25 more');
  expect(text.split('\n')).toHaveLength(2 + 1 + 15 + 1 + 2);
  const { sources, total } = syncPreviewDocument(preview({ planned })) as { sources: { send: unknown[] }[]; total: object };
  expect(sources[0]?.send).toHaveLength(40);
  expect(total).toEqual({ files: 40, bytes: 780 });
});

test('what the machine would fetch by itself', () => {
  const text = renderSyncPreview('cats', { ...preview({}), fetch: [{ from: 'https://example.org/a.tar', to: 'data/a.tar' }] }, view);
  expect(text).toContain('\n\nhave the machine fetch\n  https://example.org/a.tar to data/a.tar\n\n');
});

test('nothing to do, and no machine', () => {
  expect(renderSyncPreview('cats', preview({}), view)).toContain('send nothing: 3 files, 3KB, have their content there already');
  expect(renderSyncPreview('cats', { ...preview({}), machine: null }, view)).toContain("No machine 'cats' is up. A first sync would");
});

test('the command, in a folder without a machine', async () => {
  using place = createPlace();
  writeFileSync(join(place.folder, 'gpu-run.yaml'), 'sync: { exclude: ["*.log"] }\noutputs: [runs/]\n');
  writeFileSync(join(place.folder, 'x.log'), 'x');
  const { code, document, stderr } = await place.call(['sync', '--dry-run', '--json']);
  expect(code, stderr).toBe(0);
  expect(document).toMatchObject({
    command: 'sync',
    outcome: 'ok',
    dryRun: true,
    machine: null,
    total: { files: 1 },
    sources: [
      {
        source: 'code',
        send: [{ path: 'gpu-run.yaml', why: 'new' }],
        delete: [],
        skip: [{ path: 'x.log', kind: 'file', bytes: 1, rule: { file: null, line: null, pattern: '*.log' }, why: 'sync.exclude' }],
      },
    ],
    surprises: [],
  });
});
