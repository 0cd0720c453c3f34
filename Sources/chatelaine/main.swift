import Daemon
import Glibc

// Swift's crash report would print memory, secrets included: a crash is the kernel's business alone.
for number in [SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP] { signal(number, SIG_DFL) }
occupyStandardDescriptors()
shieldProcess()
// Not `exit`: the daemon's threads are still there, and OpenSSL's part of `atexit` would free what they use.
_exit(run(arguments: Array(CommandLine.arguments.dropFirst())))
