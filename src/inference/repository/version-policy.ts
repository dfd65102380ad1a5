/** Which versions of a model are loaded. */
export type VersionPolicy =
  | { readonly kind: 'all' }
  | { readonly kind: 'latest'; readonly count: number }
  | { readonly kind: 'specific'; readonly versions: readonly string[] }

/** Versions that a policy may name. */
export const POLICY_VERSIONS_MAX = 64

/** Of versions from the newest, those that the policy names. */
export function chosenVersions(policy: VersionPolicy, versions: readonly string[]): ReadonlySet<string> {
  if (policy.kind === 'all') return new Set(versions)
  if (policy.kind === 'latest') return new Set(versions.slice(0, policy.count))
  return new Set(versions.filter((version) => policy.versions.includes(version)))
}

/** The policy in words, for why a version was left out. */
export function describePolicy(policy: VersionPolicy): string {
  if (policy.kind === 'all') return 'all'
  return policy.kind === 'latest' ? `latest ${policy.count}` : `only ${policy.versions.join(', ')}`
}
