server ENV.fetch("BENCH_HOST"), user: "capistrano", roles: %w[app]
set :ssh_options, keys: [ENV.fetch("BENCH_KEY")], keys_only: true, port: ENV.fetch("BENCH_PORT"),
                  user_known_hosts_file: ENV.fetch("BENCH_KNOWN_HOSTS"), config: false
