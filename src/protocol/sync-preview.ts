/**
 * `preview`: what a push would do on the machine; changes nothing there. Opens as `push` does, with `PushParams`. Imports its own folder only.
 *
 *   machine  {type: 'manifest'}                          laptop   {type: 'entries', entries}*  {type: 'entries-end'}
 *   machine  {type: 'place', items}*  {type: 'reuse', indices}*  {type: 'gone', items}*
 * and the call ends with `{unchanged}`: true, and nothing before it, when the machine has exactly what was announced.
 */

/** An entry that would be put there. `theirs`: something of the machine's own is in its place, and would be moved aside. */
export type PlaceHow = 'new' | 'changed' | 'theirs';

/** `touch`: only its mode or time would be set. `leave`: an output of the machine differs there, and would stay. */
export type PreviewHow = PlaceHow | 'touch' | 'leave';

/** What earlier pushes placed and is gone here. `delete`: it would go; `aside`: it was changed there, and would be moved aside. */
export type GoneHow = 'delete' | 'aside';

export type PreviewSay =
  | { readonly type: 'manifest' }
  /** By their places in the manifest. */
  | { readonly type: 'place'; readonly items: readonly (readonly [index: number, how: PreviewHow])[] }
  /** Of these the machine has the content elsewhere: it would be renamed or copied there, and not sent. */
  | { readonly type: 'reuse'; readonly indices: readonly number[] }
  | { readonly type: 'gone'; readonly items: readonly (readonly [path: string, how: GoneHow])[] };

export interface PreviewResult {
  readonly unchanged: boolean;
}
