// libFuzzer as a library: its own main would need a C function of a fixed name, and SwiftPM names mains itself.
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));
