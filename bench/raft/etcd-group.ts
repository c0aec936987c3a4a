// Three members of etcd with its default settings, as child processes, on the same disk as ours.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { freeAddress } from '../../test/fixture/raft-processes.ts'
import { waitFor } from '../../test/lab/wait-for.ts'

export interface EtcdGroup {
  readonly pids: readonly number[]
  /** IP:PORT for the clients of the member that leads. */
  leader(): Promise<string>
  stop(): Promise<void>
}

interface Member {
  readonly name: string
  readonly clients: string
  readonly peers: string
}

export async function startEtcd(directory: string): Promise<EtcdGroup> {
  const members: Member[] = []
  for (const name of ['a', 'b', 'c']) members.push({ name, clients: await freeAddress('127.0.0.1'), peers: await freeAddress('127.0.0.1') })
  const cluster = members.map(({ name, peers }) => `${name}=http://${peers}`).join(',')
  const children = members.map((member) => startMember(member, cluster, directory))
  return {
    pids: children.map(({ pid }) => pid ?? 0),
    leader: () => waitFor('a leader of etcd', () => leaderOf(members), { limitMs: 20_000, everyMs: 200 }),
    async stop() {
      await Promise.all(
        children.map(async (child) => {
          if (child.exitCode !== null) return
          child.kill('SIGKILL')
          await once(child, 'exit')
        }),
      )
    },
  }
}

/** What must be said for three members to find each other; all else as it comes. */
function startMember({ name, clients, peers }: Member, cluster: string, directory: string): ChildProcess {
  const places = ['--name', name, '--data-dir', join(directory, name), '--initial-cluster', cluster]
  const forClients = ['--listen-client-urls', `http://${clients}`, '--advertise-client-urls', `http://${clients}`]
  const forPeers = ['--listen-peer-urls', `http://${peers}`, '--initial-advertise-peer-urls', `http://${peers}`]
  const child = spawn('etcd', [...places, ...forClients, ...forPeers, '--log-level', 'error', '--logger', 'zap'], { stdio: 'ignore' })
  child.on('error', (error) => process.stderr.write(`etcd: ${error.message}\n`))
  process.once('exit', () => child.kill('SIGKILL'))
  return child
}

async function leaderOf(members: readonly Member[]): Promise<string | undefined> {
  for (const { clients } of members) {
    const response = await fetch(`http://${clients}/v3/maintenance/status`, {
      method: 'POST',
      body: '{}',
      signal: AbortSignal.timeout(2000),
    })
    const status = (await response.json()) as { header?: { member_id?: string }; leader?: string }
    if (status.leader !== undefined && status.leader === status.header?.member_id) return clients
  }
  return undefined
}
