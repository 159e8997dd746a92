# bash completion for organismctl; generated, do not edit.
_organismctl() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="" path="" word="" words="" index
    [ "$COMP_CWORD" -gt 0 ] && previous="${COMP_WORDS[COMP_CWORD-1]}"
    for ((index = 1; index < COMP_CWORD; index++)); do
        word="${COMP_WORDS[index]}"
        case "$word" in -*) continue ;; esac
        if [ -z "$path" ]; then
            case "$word" in init|doctor|status|watch|report|fingerprint|lock|check|observe|inspect|explain|runbook|tickets|rotate|retire|change|committee|exporter|export|surface) path="$word" ;; esac
        else
            case "$path" in fingerprint|lock|check|runbook|tickets|rotate|retire|change|committee|export|surface)
                case " $(_organismctl_words "$path") " in *" $word "*) path="$path $word" ;; esac ;;
            esac
        fi
    done
    case "$previous" in
        --format) COMPREPLY=($(compgen -W "table json junit github prometheus jsonl" -- "$current")); return ;;
        --accept-risk|--acl|--alg|--announcement|--at|--bind|--carrier|--code|--count|--data|--dead|--deployment|--effective-at|--every|--fail-on|--fallback|--fingerprint|--first-port|--from|--from-example|--from-peer|--genesis|--group|--hear|--hold|--in|--issuer|--key|--lifetime|--limit|--listen|--memory|--name|--network|--node|--only|--organism|--out|--output|--page|--patience|--peer|--plan-out|--reason|--replacement|--request|--runbooks|--set|--span|--spare|--stream|--surface|--target|--textfiles|--ticket|--timeout|--title|--tls-cert|--tls-key|--url|--user|--via|--wait) COMPREPLY=($(compgen -f -- "$current")); return ;;
    esac
    words="$(_organismctl_words "$path")"
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [ "${#COMPREPLY[@]}" -eq 0 ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
_organismctl_words() {
    local words=""
    case "$1" in
        "") words="init doctor status watch report fingerprint lock check observe inspect explain runbook tickets rotate retire change committee exporter export surface --version --organism --help --debug --no-color --quiet" ;;
        "init") words="--from-example --list-examples --first-port --name --network --node --spare --span --acl --from-peer --group --via --help --debug --no-color --quiet" ;;
        "doctor") words="--format --output --organism --deployment --help --debug --no-color --quiet" ;;
        "status") words="--organism --deployment --format --output --from --timeout --no-wire --via --help --debug --no-color --quiet" ;;
        "watch") words="--organism --deployment --every --count --once --format --timeout --no-wire --via --help --debug --no-color --quiet" ;;
        "report") words="--organism --deployment --format --output --from --at --timeout --no-wire --via --listen --help --debug --no-color --quiet" ;;
        "fingerprint") words="show explain diff check --help --debug --no-color --quiet" ;;
        "fingerprint show") words="--as-ref --format --output --organism --deployment --help --debug --no-color --quiet" ;;
        "fingerprint explain") words="--format --output --organism --deployment --help --debug --no-color --quiet" ;;
        "fingerprint diff") words="--format --output --help --debug --no-color --quiet" ;;
        "fingerprint check") words="--format --output --strict --fail-on --organism --deployment --help --debug --no-color --quiet" ;;
        "lock") words="init accept show --help --debug --no-color --quiet" ;;
        "lock init") words="--reason --organism --deployment --help --debug --no-color --quiet" ;;
        "lock accept") words="--reason --announcement --organism --deployment --help --debug --no-color --quiet" ;;
        "lock show") words="--format --organism --deployment --help --debug --no-color --quiet" ;;
        "check") words="tickets identity committee subscriptions surfaces evidence fingerprint all --help --debug --no-color --quiet" ;;
        "check tickets") words="--organism --deployment --format --output --strict --fail-on --from --at --timeout --no-wire --via --help --debug --no-color --quiet" ;;
        "check identity") words="--organism --deployment --format --output --strict --fail-on --from --at --timeout --no-wire --via --listen --help --debug --no-color --quiet" ;;
        "check committee") words="--organism --deployment --format --output --strict --fail-on --from --at --timeout --no-wire --via --help --debug --no-color --quiet" ;;
        "check subscriptions") words="--organism --deployment --format --output --strict --fail-on --from --at --timeout --no-wire --via --listen --help --debug --no-color --quiet" ;;
        "check surfaces") words="--organism --deployment --format --output --strict --fail-on --from --at --timeout --no-wire --via --listen --help --debug --no-color --quiet" ;;
        "check evidence") words="--organism --deployment --format --output --strict --fail-on --from --at --timeout --no-wire --via --help --debug --no-color --quiet" ;;
        "check fingerprint") words="--organism --deployment --format --output --strict --fail-on --help --debug --no-color --quiet" ;;
        "check all") words="--organism --deployment --format --output --strict --fail-on --from --at --timeout --no-wire --via --listen --help --debug --no-color --quiet" ;;
        "observe") words="--organism --deployment --format --output --timeout --no-wire --via --listen --help --debug --no-color --quiet" ;;
        "inspect") words="--network --key --ticket --stream --listen --via --format --output --timeout --help --debug --no-color --quiet" ;;
        "explain") words="--list --format --help --debug --no-color --quiet" ;;
        "runbook") words="list show run report check new --help --debug --no-color --quiet" ;;
        "runbook list") words="--code --runs --runbooks --organism --deployment --format --help --debug --no-color --quiet" ;;
        "runbook show") words="--runbooks --organism --deployment --help --debug --no-color --quiet" ;;
        "runbook run") words="--resume --set --yes --dry-run --format --output --runbooks --organism --deployment --timeout --no-wire --help --debug --no-color --quiet" ;;
        "runbook report") words="--format --output --organism --deployment --help --debug --no-color --quiet" ;;
        "runbook check") words="--runbooks --organism --deployment --format --help --debug --no-color --quiet" ;;
        "runbook new") words="--title --copy --runbooks --organism --deployment --help --debug --no-color --quiet" ;;
        "tickets") words="request show import install issue --help --debug --no-color --quiet" ;;
        "tickets request") words="--span --committee --node --lifetime --output --organism --deployment --help --debug --no-color --quiet" ;;
        "tickets show") words="--format --organism --deployment --help --debug --no-color --quiet" ;;
        "tickets import") words="--allow-earlier --organism --deployment --help --debug --no-color --quiet" ;;
        "tickets install") words="--span --node --wait --keep-old --organism --deployment --help --debug --no-color --quiet" ;;
        "tickets issue") words="--key --request --new-key --alg --issuer --lifetime --output --help --debug --no-color --quiet" ;;
        "rotate") words="member --help --debug --no-color --quiet" ;;
        "rotate member") words="--out --in --dead --organism --deployment --reason --accept-risk --dry-run --plan-out --wait --yes --format --help --debug --no-color --quiet" ;;
        "retire") words="amend cancel verify --effective-at --fallback --replacement --organism --deployment --reason --accept-risk --dry-run --plan-out --wait --yes --format --help --debug --no-color --quiet" ;;
        "retire amend") words="--effective-at --fallback --replacement --organism --deployment --reason --dry-run --plan-out --yes --format --help --debug --no-color --quiet" ;;
        "retire cancel") words="--organism --deployment --yes --format --help --debug --no-color --quiet" ;;
        "retire verify") words="--organism --deployment --format --help --debug --no-color --quiet" ;;
        "change") words="list show history resume takeover abort apply --help --debug --no-color --quiet" ;;
        "change list") words="--organism --deployment --format --help --debug --no-color --quiet" ;;
        "change show") words="--organism --deployment --format --help --debug --no-color --quiet" ;;
        "change history") words="--organism --deployment --format --help --debug --no-color --quiet" ;;
        "change resume") words="--organism --deployment --accept-risk --wait --yes --format --help --debug --no-color --quiet" ;;
        "change takeover") words="--organism --deployment --accept-risk --wait --yes --format --help --debug --no-color --quiet" ;;
        "change abort") words="--organism --deployment --yes --format --help --debug --no-color --quiet" ;;
        "change apply") words="--organism --deployment --accept-risk --dry-run --wait --yes --format --help --debug --no-color --quiet" ;;
        "committee") words="init serve stop start void status relay --help --debug --no-color --quiet" ;;
        "committee init") words="--deployment --node --join --carrier --help --debug --no-color --quiet" ;;
        "committee serve") words="--node --deployment --detach --bind --tls-cert --tls-key --carrier --help --debug --no-color --quiet" ;;
        "committee stop") words="--node --deployment --check --all --help --debug --no-color --quiet" ;;
        "committee start") words="--node --organism --deployment --restart --wait --help --debug --no-color --quiet" ;;
        "committee void") words="--node --reason --organism --deployment --yes --help --debug --no-color --quiet" ;;
        "committee status") words="--deployment --help --debug --no-color --quiet" ;;
        "committee relay") words="--bind --data --detach --stop --help --debug --no-color --quiet" ;;
        "exporter") words="--organism --deployment --listen --every --memory --timeout --hear --no-wire --via --help --debug --no-color --quiet" ;;
        "export") words="systemd prometheus alertmanager grafana --help --debug --no-color --quiet" ;;
        "export systemd") words="--organism --deployment --only --user --listen --bind --tls-cert --tls-key --encrypted --every --timeout --textfiles --output --help --debug --no-color --quiet" ;;
        "export prometheus") words="--organism --deployment --hold --scrape --target --every --output --help --debug --no-color --quiet" ;;
        "export alertmanager") words="--organism --deployment --page --ticket --output --help --debug --no-color --quiet" ;;
        "export grafana") words="--organism --deployment --output --help --debug --no-color --quiet" ;;
        "surface") words="read verify --help --debug --no-color --quiet" ;;
        "surface read") words="--url --peer --ticket --surface --from --follow --limit --patience --format --organism --fingerprint --genesis --help --debug --no-color --quiet" ;;
        "surface verify") words="--url --surface --from --retired --format --organism --fingerprint --genesis --help --debug --no-color --quiet" ;;
    esac
    printf '%s' "$words"
}
complete -o filenames -F _organismctl organismctl
