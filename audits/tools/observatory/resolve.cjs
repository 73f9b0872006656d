// Finds the site at SITE_ADDRESS, whatever the DNS says, as the audit is of that host.
const dns = require("node:dns");

const { SITE_NAME, SITE_ADDRESS } = process.env;
const lookup = dns.lookup;
dns.lookup = (name, ...rest) => lookup(name === SITE_NAME ? SITE_ADDRESS : name, ...rest);
