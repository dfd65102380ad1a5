const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'a folder on its path is a file',
  EEXIST: 'a file is where a folder is needed',
  EISDIR: 'it is a folder',
  EACCES: 'this user may not open it',
  EPERM: 'this user may not open it',
  EROFS: 'its file system is read-only',
  ENOSPC: 'its disk is full',
  ENAMETOOLONG: 'the path is too long',
  ELOOP: 'its symbolic links go round in a circle',
}

/** Why the system did not open a file, in words and without its path. */
export function reasonOfFile(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS[code] ?? (code === '' ? 'it cannot be opened' : `the system says ${code}`)
}
