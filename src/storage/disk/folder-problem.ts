/** Says why a folder cannot be used, and what fixes it: the words of a start that fails and of `doctor`. */
import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StoreOpenError } from '../domain/errors.ts';
import { FolderSyncError, hasCode, ifPresent } from './files.ts';

/** The folder, and the setting with which the user changes it. */
export interface FolderSetting {
  /** The folder that the configuration names. */
  root: string;
  setting: string;
}

export interface FolderProblem {
  kind: StoreOpenError['kind'];
  /** Names the path at fault and what to change. */
  message: string;
  cause: unknown;
}

/** Returns undefined for an error that is not of the file system. `path` is the one at fault. */
export function folderProblem(thrown: unknown, path: string, place: FolderSetting): FolderProblem | undefined {
  const cause = thrown instanceof FolderSyncError ? thrown.cause : thrown;
  const { code, syscall } = (cause ?? {}) as NodeJS.ErrnoException;
  const { root, setting } = place;
  const problem = (kind: FolderProblem['kind'], message: string) => ({ kind, message, cause });
  if (hasCode(cause, 'EACCES', 'EPERM')) {
    const user = process.geteuid?.();
    const command = user === undefined ? '' : `sudo mkdir -p ${root} && sudo chown -R ${user} ${root}, or `;
    return problem('permission', `${path} cannot be written${asUser()}: ${command}change ${setting}`);
  }
  if (hasCode(cause, 'EROFS')) {
    return problem('permission', `${path} is mounted read-only: mount it writable, or change ${setting}`);
  }
  if (hasCode(cause, 'ENOTDIR', 'EEXIST')) return problem('config', notFolder(path, place));
  if (hasCode(cause, 'ENOSPC', 'EDQUOT')) {
    return problem('io', `the disk of ${path} is full: make room, or change ${setting}`);
  }
  if (syscall === undefined) return undefined;
  return problem('io', `${path}: ${syscall} fails with ${code}: look at its disk, or change ${setting}`);
}

export function notFolder(path: string, { setting }: FolderSetting): string {
  return `${path} is not a folder: remove it, or change ${setting}`;
}

/** ` by this user (uid 1000)`; empty on systems without users. */
export function asUser(): string {
  return process.geteuid ? ` by this user (uid ${process.geteuid()})` : '';
}

/** Checks by path that a file can be read and written if it exists: opening `lock.db` or a catalog could drop a lock. */
export async function checkAccess(path: string): Promise<void> {
  await ifPresent(access(path, constants.R_OK | constants.W_OK));
}

/** Returns what kept a store from opening. `files` are the paths that SQLite, whose errors name none, may have failed on. */
export async function toOpenError(
  error: unknown,
  place: FolderSetting,
  files: readonly string[],
): Promise<StoreOpenError> {
  if (error instanceof StoreOpenError && error.kind !== 'permission') return error;
  const problem = folderProblem(error, await pathOf(error, place), place) ?? (await deniedOf(files, place));
  if (problem !== undefined) return new StoreOpenError(problem.kind, problem.message, { cause: error });
  if (error instanceof StoreOpenError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new StoreOpenError('io', `${place.root} cannot be opened: ${why}`, { cause: error });
}

/** Returns the path that an error of the file system names, or the file that is in the place of a folder of it. */
async function pathOf(thrown: unknown, { root }: FolderSetting): Promise<string> {
  const error = thrown instanceof FolderSyncError ? thrown.cause : thrown;
  const { path, dest } = (error ?? {}) as NodeJS.ErrnoException & { dest?: string };
  const failed = dest ?? path ?? root;
  if (!hasCode(error, 'ENOTDIR', 'EEXIST')) return failed;
  for (let above = failed; ; above = dirname(above)) {
    const isFile = await stat(above)
      .then((stats) => !stats.isDirectory())
      .catch(() => false);
    if (isFile) return above;
    if (above === dirname(above)) return failed;
  }
}

/** Returns the first of these files that this user may not read and write. */
async function deniedOf(files: readonly string[], place: FolderSetting): Promise<FolderProblem | undefined> {
  for (const file of files) {
    const denied = await checkAccess(file).then(
      () => undefined,
      (error) => folderProblem(error, file, place),
    );
    if (denied !== undefined) return denied;
  }
  return undefined;
}
