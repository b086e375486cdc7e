/** `::ffff:10.0.0.1`, an IPv4 client of a socket that takes both families, is `10.0.0.1`. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
