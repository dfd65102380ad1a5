import { afterAll, describe, expect, test } from 'bun:test'
import { chromium } from 'playwright-core'
import { AccountsServer, PASSWORD } from '../support/accounts.ts'
import { chromiumFlags, chromiumPath } from '../support/chromium.ts'
import { DOORS } from '../support/doors.ts'
import { STORES } from '../support/stores.ts'
import { hasTool } from '../support/tools.ts'

const path = chromiumPath()
const [sqlite] = STORES
const [, overSocket] = DOORS

if (hasTool('Chromium', path) && sqlite !== undefined && overSocket !== undefined) {
  describe('the documentation page in Chromium', async () => {
    const database = await sqlite.create()
    const server = await AccountsServer.start(database, { open: overSocket })
    await server.account('ada')
    const browser = await chromium.launch({ executablePath: path, args: chromiumFlags })
    afterAll(async () => {
      await browser.close()
      await server[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    })

    const signIn = async (password: string) => {
      const page = await (await browser.newContext()).newPage()
      await page.goto(`${server.door.base}/docs/`)
      await page.locator('button.authorize').first().click()
      const form = page.locator('.modal-ux .auth-container', { hasText: 'account (OAuth2' })
      await form.locator('input#oauth_username').fill('ada')
      await form.locator('input#oauth_password').fill(password)
      await form.locator('button.authorize').click()
      return { page, form }
    }

    test('signs in with name and password, and tries a call', async () => {
      const { page, form } = await signIn(PASSWORD)
      await form.locator('button', { hasText: 'Logout' }).waitFor()
      await page.locator('.modal-ux button.close-modal').click()
      const operation = page.locator('.opblock', { hasText: '/private/info/' })
      await operation.locator('.opblock-summary').click()
      await operation.locator('button.execute').click()
      const answer = operation.locator('.live-responses-table .response-col_status').nth(1)
      await answer.waitFor()
      expect(await answer.textContent()).toContain('200')
    })

    test('shows that a password is wrong', async () => {
      const { form } = await signIn('wrong')
      const error = form.locator('.errors')
      await error.waitFor()
      expect(await error.textContent()).toContain('not accepted')
    })
  })
}
