import { describe, expect, test } from 'bun:test'
import { faultsForSeveral, refuseForSeveral, shareOf, warningsForSeveral } from '../../../../src/cli/processes/share-limits.ts'
import { loadSettings } from '../../../../src/config/load.ts'

function settingsWith(flags: Readonly<Record<string, readonly string[]>>, environment: Readonly<Record<string, string>> = {}) {
  return loadSettings({ flags, environment, directory: '/nowhere' }).settings
}

describe('limits of several processes', () => {
  test('are shared out, so that all of them together keep each', () => {
    const settings = {
      ...settingsWith({ queueMax: ['10'], requestsMax: ['100'], addressRequestsPerMinute: ['600'] }),
      rateLimits: [{ role: 'default', requestsPerMinute: 120, concurrent: 3 }],
    }
    const { queueMax, requestsMax, addressRequestsPerMinute, rateLimits, signInAttemptsMax, bodyBytesMax } = shareOf(settings, 4)
    expect({ queueMax, requestsMax, addressRequestsPerMinute, rateLimits, signInAttemptsMax }).toEqual({
      queueMax: 2,
      requestsMax: 25,
      addressRequestsPerMinute: 150,
      rateLimits: [{ role: 'default', requestsPerMinute: 30, concurrent: 1 }],
      signInAttemptsMax: 2,
    })
    expect(bodyBytesMax).toBe(settings.bodyBytesMax)
    for (const count of [2, 3, 7, 64]) expect(shareOf(settings, count).requestsMax * count).toBeLessThanOrEqual(100)
  })

  test('stay whole where Redis counts for all', () => {
    const settings = {
      ...settingsWith({ addressRequestsPerMinute: ['600'], queueMax: ['10'] }, { VESTAL_REDIS: 'redis://127.0.0.1:1' }),
      rateLimits: [{ role: 'default', requestsPerMinute: 120 }],
    }
    const { addressRequestsPerMinute, rateLimits, signInAttemptsMax, queueMax } = shareOf(settings, 4)
    expect({ addressRequestsPerMinute, rateLimits, signInAttemptsMax, queueMax }).toEqual({
      addressRequestsPerMinute: 600,
      rateLimits: settings.rateLimits,
      signInAttemptsMax: settings.signInAttemptsMax,
      queueMax: 2,
    })
    expect(warningsForSeveral(settings, 4)).toEqual([])
  })

  test('are warned of where a share is not the whole', () => {
    const plain = settingsWith({})
    expect(warningsForSeveral(plain, 4)).toEqual([])
    const settings = {
      ...settingsWith({ addressRequestsPerMinute: ['600'], queueMax: ['3'] }),
      rateLimits: [{ role: 'default' }],
    }
    expect(warningsForSeveral(settings, 4).map((warning) => warning.split(':')[0])).toEqual([
      'queue_max',
      'address_requests_per_minute',
      'rate_limits',
    ])
  })
})

describe('several processes', () => {
  test('are refused where one alone would hear of a model to load, and where no port can be shared', () => {
    const explicit = settingsWith({ modelControl: ['explicit'] })
    expect(faultsForSeveral(explicit, 'linux')).toEqual([expect.stringContaining('model_control: ')])
    expect(() => refuseForSeveral(explicit)).toThrow('model_control')
    expect(faultsForSeveral(settingsWith({}), 'darwin')).toEqual([expect.stringContaining('on Linux alone')])
    expect(faultsForSeveral(settingsWith({ modelControl: ['poll'] }), 'linux')).toEqual([])
  })
})
