// Uploads of knowledge files. XMLHttpRequest, because fetch does not tell how much has been sent.
import { ApiError } from './api.ts';

export type RunState = 'queued' | 'running' | 'done' | 'cancelled' | 'interrupted';
export type FileState = 'queued' | 'reading' | 'done' | 'unchanged' | 'failed';

export interface Counts {
  new: number;
  changed: number;
  unchanged: number;
  held: number;
  gone: number;
}

/** An import as the API shows it. */
export interface ImportRun {
  run_id: string;
  state: RunState;
  actor: string;
  actor_name: string;
  name: string;
  created_at: string;
  finished_at: string | null;
  files: number;
  finished: number;
  failed: number;
  counts: Counts;
  removed: string[];
  cancel_requested: boolean;
}

/** A file of an import. ``done`` of ``total`` pages or rows while it is read; ``fault`` names what is wrong, ``message`` says it in English. */
export interface ImportFile {
  number: number;
  source: string;
  size: number;
  state: FileState;
  kind: string;
  done: number;
  total: number;
  fault: string;
  detail: string;
  message: string;
  notes: string[];
  counts: Counts;
}

export interface Picked {
  name: string;
  file: File;
}

/** Sends files with their folders in their names; tells (sent, total) bytes. Rejects with ApiError; an aborted one with title "aborted". */
export function upload(
  picked: readonly Picked[],
  options: { token: string; retire: boolean; signal: AbortSignal; progress: (sent: number, total: number) => void },
): Promise<ImportRun> {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    for (const { name, file } of picked) form.append('files', file, name);
    const request = new XMLHttpRequest();
    request.open('POST', `/api/v1/kb/imports${options.retire ? '?retire=true' : ''}`);
    request.setRequestHeader('Authorization', `Bearer ${options.token}`);
    request.responseType = 'json';
    request.upload.onprogress = (e) => options.progress(e.loaded, e.total);
    request.onload = () => {
      if (request.status === 202) {
        resolve(request.response as ImportRun);
        return;
      }
      const problem = (request.response ?? {}) as { title?: string; detail?: string };
      reject(new ApiError(request.status, problem.title ?? request.statusText, problem.detail ?? ''));
    };
    request.onerror = () => reject(new ApiError(0, 'network', ''));
    request.onabort = () => reject(new ApiError(0, 'aborted', ''));
    options.signal.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

/** The files of a file or folder chooser, with the folder's name before theirs. */
export function chosen(list: FileList | null): Picked[] {
  return [...(list ?? [])].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
}

/** What was dropped, folders opened. Must be called before the event's handler gives way: the items are gone afterwards. */
export async function dropped(transfer: DataTransfer): Promise<Picked[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: Picked[] = [];
  for (const entry of entries) await walk(entry, '', found);
  return found;
}

async function walk(entry: FileSystemEntry, folder: string, found: Picked[]): Promise<void> {
  const name = `${folder}${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise<File>((ok, no) => (entry as FileSystemFileEntry).file(ok, no));
    found.push({ name, file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader gives at most a hundred entries at a time, and none when it is through.
    const some = await new Promise<FileSystemEntry[]>((ok, no) => reader.readEntries(ok, no));
    if (some.length === 0) return;
    for (const child of some) await walk(child, `${name}/`, found);
  }
}
