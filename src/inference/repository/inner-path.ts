const PATH_LENGTH_MAX = 1024
const NAME_LENGTH_MAX = 255

/** True for a path of plain names that cannot leave the folder it is joined to. */
export function isInnerPath(path: string): boolean {
  if (path.length === 0 || path.length > PATH_LENGTH_MAX || /[\\\0:]/.test(path)) return false
  return path
    .split('/')
    .every((name) => name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= NAME_LENGTH_MAX)
}
