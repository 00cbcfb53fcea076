// Before a peer (node --import ./names.mjs): the names in PEER_NAMES lead to this machine, as lines of /etc/hosts would
// say.
import dns from "node:dns";

const names = process.env.PEER_NAMES.split(" ");
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(names.includes(host) ? "127.0.0.1" : host, ...rest);
