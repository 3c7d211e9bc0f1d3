#!/bin/sh
# Writes deploy/*.env with secrets of its own. What is there is left as it is: the ledger is sealed with it.
set -eu
cd "$(dirname "$0")"
umask 077
for file in postgres.env redis.env server.env; do
  if [ -e "$file" ]; then
    echo "deploy/$file is there already: nothing was changed" >&2
    exit 0
  fi
done
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
postgres=$(random)
redis=$(random)
echo "POSTGRES_PASSWORD=$postgres" >postgres.env
echo "REDISCLI_AUTH=$redis" >redis.env
{
  echo "# Keep a copy where the backups of the database are not: without this key nobody reads what they hold."
  echo "SUREFOOT_KEY=$(random)"
  echo "POSTGRES_PASSWORD=$postgres"
  echo "REDISCLI_AUTH=$redis"
} >server.env
echo "wrote deploy/postgres.env, deploy/redis.env and deploy/server.env" >&2
