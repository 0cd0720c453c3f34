import Daemon
import Glibc

// Swift's crash report would print memory, secrets included: a crash is the kernel's business alone.
for number in [SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP] { signal(number, SIG_DFL) }
occupyStandardDescriptors()
shieldProcess()
exit(run(arguments: Array(CommandLine.arguments.dropFirst())))
