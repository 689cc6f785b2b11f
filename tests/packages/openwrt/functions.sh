# Reading a file of /etc/config as OpenWrt's functions do, whose text is a script of three commands.
config() {
	sections=$((sections + 1))
	section_now=${2:-cfg$sections}
	section_names="$section_names $section_now"
	eval "value_${section_now}_TYPE=\$1"
}

option() {
	eval "value_${section_now}_$1=\$2"
}

list() {
	eval "length=\${value_${section_now}_$1_LENGTH:-0}"
	length=$((length + 1))
	eval "value_${section_now}_$1_ITEM$length=\$2 value_${section_now}_$1_LENGTH=$length"
}

config_load() {
	sections=0 section_names=
	. "/etc/config/$1"
}

config_get() {
	eval "$1=\${value_$2_$3:-\$4}"
}

config_get_bool() {
	config_get "$@"
	eval "case \$$1 in 1 | on | true | enabled) $1=1 ;; 0 | off | false | disabled) $1=0 ;; *) $1=\$4 ;; esac"
}

config_foreach() {
	local each_function=$1 each_type=$2 each_section each_found
	shift 2
	for each_section in $section_names; do
		config_get each_found "$each_section" TYPE
		[ "$each_found" != "$each_type" ] || "$each_function" "$each_section" "$@"
	done
}

config_list_foreach() {
	local item_section=$1 item_option=$2 item_function=$3 item_count=1 item_length item_value
	shift 3
	config_get item_length "$item_section" "${item_option}_LENGTH" 0
	while [ "$item_count" -le "$item_length" ]; do
		config_get item_value "$item_section" "${item_option}_ITEM$item_count"
		"$item_function" "$item_value" "$@"
		item_count=$((item_count + 1))
	done
}
