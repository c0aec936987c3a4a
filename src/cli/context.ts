// What every command gets as `this`: the machine, and how this run speaks.
import { type CommandContext } from '@stricli/core'
import { type ApiClient } from '../api/client.ts'
import { type Paint, painter, wantsColor } from './color.ts'
import { type ConnectFlags, type CommonFlags } from './flags.ts'
import { type Io } from './io.ts'
...
