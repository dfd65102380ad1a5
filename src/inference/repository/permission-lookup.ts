import { CLOSED, defaultPermissions, type ModelAction, type ModelPermissions } from './permissions.ts'
import { permissionsInFolder, type RepositoryOptions } from './scan.ts'

/** Says what each action on a model requires, of a model that is not known too. */
export class PermissionLookup {
  readonly #options: Pick<RepositoryOptions, 'modelsDirectory'>
  readonly #known: (name: string) => ModelPermissions | undefined
  #hadFolder: boolean

  /** `known` gives the permissions of a model as they were when it was loaded. */
  constructor(
    options: Pick<RepositoryOptions, 'modelsDirectory'>,
    known: (name: string) => ModelPermissions | undefined,
    hadFolder = false,
  ) {
    this.#options = options
    this.#known = known
    this.#hadFolder = hadFolder
  }

  /** Whether the folder of all models was ever there: it may be away now, and what it says of its models unknown. */
  get hadFolder(): boolean {
    return this.#hadFolder
  }

  /** Finds out whether the folder of all models is there. */
  look(): void {
    this.#hadFolder = permissionsInFolder('any', this.#options) !== 'away'
  }

  /** The permission that an action requires: to change a model it is what its folder says now, else what it said when it was loaded. */
  of(name: string, action: ModelAction): string {
    const known = this.#known(name)
    return (action !== 'admin' && known !== undefined ? known : this.now(name))[action]
  }

  /** What the folder of a model says now; where it gives no answer, what it said when it was loaded. */
  now(name: string): ModelPermissions {
    const own = permissionsInFolder(name, this.#options)
    if (own === 'unreadable') return CLOSED
    if (own !== 'absent' && own !== 'away') return own
    const known = this.#known(name)
    return known ?? (own === 'away' && this.#hadFolder ? CLOSED : defaultPermissions(name))
  }
}
