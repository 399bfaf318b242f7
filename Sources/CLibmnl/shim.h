/* netinet/in.h first: the kernel's headers then leave sockaddr_in to Glibc. */
#include <netinet/in.h>
#include <libmnl/libmnl.h>
