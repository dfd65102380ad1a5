import { type AnyElysia, Elysia } from 'elysia'

/** An app of somebody's own with one route for each permission, at its name with dashes for colons. */
export function ownApp(plugin: unknown, permissions: readonly string[]): AnyElysia {
  // The casts stand in for what an app that is written in one chain gets from its types.
  const app = new Elysia({ handler: { standardHostname: false }, serve: { reusePort: false } }) as unknown as Elysia
  app.use(plugin as AnyElysia)
  for (const permission of permissions) {
    app.get(`/${permission.replaceAll(':', '-')}`, () => 'in', { permissions: [permission] } as object)
  }
  return app
}
