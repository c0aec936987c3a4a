// The network between simulated members: messages under way, directions that are cut, and old mail that comes back.
import { present } from '../../src/base/assert.ts'
import { between, type Random } from '../../src/base/random.ts'
import { decodeMessage, encodeMessage } from '../../src/consensus/codec.ts'
import { type Message, type NodeId } from '../../src/consensus/types.ts'
import { type Coverage } from './simulated-coverage.ts'
import { type Weather } from './simulated-weather.ts'

/** Delivered messages that may come once more, much later. */
const OLD_MAIL = 60

type Way = `${NodeId}>${NodeId}`

export class SimulatedNetwork {
  readonly #weather: Weather
  readonly #random: Random
  readonly #coverage: Coverage
  #underWay: Message[] = []
  readonly #delivered: Message[] = []
  readonly #cuts = new Set<Way>()

  constructor(weather: Weather, random: Random, coverage: Coverage) {
    this.#weather = weather
    this.#random = random
    this.#coverage = coverage
  }

  send(message: Message): void {
    if (!this.#weather.keeps && this.#isCut(message)) return
    this.#underWay.push(this.#weather.encoded ? decodeMessage(encodeMessage(message, 1)).message : message)
  }

  /** The message that arrives next, at one of those who listen; undefined where there is none or it was lost. */
  next(listens: (id: NodeId) => boolean): Message | undefined {
    const { lose, double, overtake, late } = this.#weather
    // What was under way when a direction was cut still arrives, one by one.
    const isLate = this.#chance(late)
    const open = this.#underWay.filter((message) => listens(message.to) && (isLate || !this.#isCut(message)))
    const message = open[this.#chance(overtake) ? between(this.#random, 0, open.length - 1) : 0]
    if (message === undefined) return undefined
    if (this.#chance(double)) this.#coverage['messages doubled']++
    else this.#underWay.splice(this.#underWay.indexOf(message), 1)
    this.#keep(message)
    if (!this.#chance(lose)) return this.#shortened(message)
    this.#coverage['messages lost']++
    return undefined
  }

  /** A message that arrived before, or was lost, once more. */
  oldMail(): Message | undefined {
    return this.#delivered[between(this.#random, 0, this.#delivered.length - 1)]
  }

  /** All that is under way, in order: after the trouble. */
  takeAll(): Message[] {
    return this.#underWay.splice(0)
  }

  /** A crash breaks connections, and some of what was sent is lost with them. */
  crashed(id: NodeId): void {
    this.#underWay = this.#underWay.filter(({ from }) => from !== id || this.#chance(0.5))
  }

  /** Cuts some directions, most of the time those of `victim`; or mends all if there are any. */
  toggleCut(victim: NodeId): void {
    if (this.#cuts.size > 0) return this.mend()
    this.#coverage.cuts++
    const ids = Array.from({ length: this.#weather.ids }, (_, offset) => offset + 1)
    const side = new Set(ids.filter(() => this.#chance(0.5)))
    const other = between(this.#random, 1, this.#weather.ids)
    const ways: readonly ((from: NodeId, to: NodeId) => boolean)[] = [
      // Hears and is heard by nobody; twice as often as the others.
      (from, to) => from === victim || to === victim,
      (from, to) => from === victim || to === victim,
      // One way: mute, deaf, or towards one member only.
      (from) => from === victim,
      (_, to) => to === victim,
      (from, to) => from === victim && to === other,
      (from, to) => side.has(from) !== side.has(to),
    ]
    const isCut = present(ways[between(this.#random, 0, ways.length - 1)], 'way to cut')
    for (const from of ids) for (const to of ids) if (from !== to && isCut(from, to)) this.#cuts.add(`${from}>${to}`)
  }

  mend(): void {
    this.#cuts.clear()
  }

  /** The receiver must not take what a message leaves out for what its sender has proved. */
  #shortened(message: Message): Message {
    if (message.kind !== 'append' || message.entries.length === 0 || !this.#chance(this.#weather.shorten)) return message
    this.#coverage['appends shortened']++
    return { ...message, entries: message.entries.slice(0, between(this.#random, 0, message.entries.length - 1)) }
  }

  #keep(message: Message): void {
    if (this.#delivered.length < OLD_MAIL) this.#delivered.push(message)
    else this.#delivered[between(this.#random, 0, OLD_MAIL - 1)] = message
  }

  #isCut({ from, to }: Message): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${from}>${to}`)
  }

  #chance(share: number): boolean {
    return this.#random.float() < share
  }
}
