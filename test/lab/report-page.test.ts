/** The page of a report in a real browser: wide and narrow, light and dark. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { renderPage } from '../../src/cli/render/report-page.ts';
import { exampleReport } from '../unit/cli/report-example.ts';

type Answer = Readonly<Record<string, unknown>>;

interface Page {
  send(method: string, params?: object): Promise<Answer>;
  /** The value of an expression in the page. */
  value<T>(expression: string): Promise<T>;
  /** Events since it was opened, by name. */
  readonly events: readonly { readonly method: string; readonly params: Answer }[];
}

const folder = mkdtempSync(join(tmpdir(), 'gpu-run-page-'));
const nasty = `</title></svg><script>document.title='taken'</script><img src=x onerror="document.title='taken'">"'&`;
let browser: ChildProcess;
let page: Page;

beforeAll(async () => {
  const file = join(folder, 'report.html');
  writeFileSync(file, renderPage(exampleReport(nasty), Date.now()));
  browser = spawn(
    'chromium',
    ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', `--user-data-dir=${join(folder, 'profile')}`, 'about:blank'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  page = await openPage(await debugAddress(browser));
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.send(`${domain}.enable`);
  await page.send('Page.navigate', { url: pathToFileURL(file).href });
  while ((await page.value('document.readyState')) !== 'complete' || (await page.value('location.protocol')) !== 'file:')
    await new Promise((done) => setTimeout(done, 20));
});

afterAll(async () => {
  const gone = new Promise((done) => browser.once('close', done));
  void page.send('Browser.close');
  await gone;
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});

test('asks nobody for anything, complains of nothing, runs nothing', async () => {
  const asked = page.events.filter(({ method }) => method === 'Network.requestWillBeSent').map(({ params }) => (params['request'] as { url: string }).url);
  expect(asked.filter((url) => !url.startsWith('file:') || !url.endsWith('report.html'))).toEqual([]);
  expect(page.events.filter(({ method }) => /^(Log.entryAdded|Runtime.exceptionThrown|Page.javascriptDialogOpening)$/.test(method))).toEqual([]);
  expect(await page.value('document.title')).toMatch(/^job-/);
  expect(await page.value('document.querySelectorAll("script, img, iframe, link").length')).toBe(0);
});

test.each([
  [1280, 'light'],
  [1280, 'dark'],
  [390, 'light'],
  [320, 'dark'],
])('at %i pixels, %s: all is in its place and can be read', async (width, scheme) => {
  await page.send('Emulation.setDeviceMetricsOverride', { width, height: 900, deviceScaleFactor: 1, mobile: width < 500 });
  await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  expect(await page.value('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
  const boxes = await page.value<number[][]>(
    `[...document.querySelectorAll('svg')].map((svg) => { const { left, right, height } = svg.getBoundingClientRect(); return [left, right, height]; })`,
  );
  expect(boxes).toHaveLength(10);
  for (const [left = -1, right = Number.NaN, height = 0] of boxes) {
    expect(left).toBeGreaterThanOrEqual(0);
    expect(right).toBeLessThanOrEqual(width);
    expect(height).toBeGreaterThan(100);
  }
  // Ticks at the edge of a plot stay within it.
  expect(
    await page.value(
      `[...document.querySelectorAll('svg text')].filter((text) => { const box = text.getBoundingClientRect(), frame = text.ownerSVGElement.getBoundingClientRect(); return box.left < frame.left - 1 || box.right > frame.right + 1; }).map((text) => text.textContent)`,
    ),
  ).toEqual([]);
  const [ink, paper] = await page.value<string[]>('[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]');
  const contrast = (brightness(ink) + 0.05) / (brightness(paper) + 0.05); // as WCAG 2 defines it
  expect(scheme === 'dark' ? contrast : 1 / contrast).toBeGreaterThan(7);
});

test('on paper it is dark on light', async () => {
  await page.send('Emulation.setEmulatedMedia', { media: 'print', features: [{ name: 'prefers-color-scheme', value: 'dark' }] });
  const [ink, paper] = await page.value<string[]>('[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]');
  expect([ink, paper]).toEqual(['rgb(0, 0, 0)', 'rgb(255, 255, 255)']);
});

/** 0 to 1. */
function brightness(color = ''): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map((part) =>
    Number(part) / 255 <= 0.04045 ? Number(part) / 255 / 12.92 : ((Number(part) / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function debugAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.on('error', reject);
    child.on('close', () => reject(new Error(`chromium ended: ${said}`)));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const [, host] = /DevTools listening on ws:\/\/([^/]+)/.exec(said) ?? [];
      if (host !== undefined) resolve(`http://${host}`);
    });
  });
}

async function openPage(address: string): Promise<Page> {
  const targets = (await (await fetch(`${address}/json`)).json()) as { type: string; webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(targets.find(({ type }) => type === 'page')?.webSocketDebuggerUrl ?? '');
  const waiting = new Map<number, (answer: Answer) => void>();
  const events: { method: string; params: Answer }[] = [];
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data)) as { id?: number; method?: string; params?: Answer; result?: Answer };
    if (message.id === undefined) events.push({ method: message.method ?? '', params: message.params ?? {} });
    else waiting.get(message.id)?.(message.result ?? {});
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  let next = 0;
  const send: Page['send'] = (method, params = {}) =>
    new Promise((resolve) => {
      const id = ++next;
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method, params }));
    });
  const value: Page['value'] = async (expression) => {
    const { result } = (await send('Runtime.evaluate', { expression, returnByValue: true })) as { result: { value: never } };
    return result.value;
  };
  return { send, value, events };
}
